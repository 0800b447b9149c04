/* backend.c: names of devices and the backend that serves each.
 *
 * The CPU's table is built in. Backends of other devices are registered when they are
 * loaded; a program without them says so when such a device is named. */
#include "backend/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

enum { MAX_CUDA_DEVICES = 64 };
static const sr_backend *cuda_backends[MAX_CUDA_DEVICES];
static int cuda_devices;

sr_status sr_start(void) { return sr__cpu_start(); }

sr_status sr__backend_register(const sr_backend *backend) {
  if (cuda_devices == MAX_CUDA_DEVICES || backend->device != 1 + cuda_devices)
    return sr__fail(SR_DEVICE, "backend '%s': device number %d, expected %d", backend->name,
                    backend->device, 1 + cuda_devices);
  cuda_backends[cuda_devices++] = backend;
  return SR_OK;
}

const sr_backend *sr__backend(sr_device device) {
  return device == SR_CPU ? &sr__cpu_backend : cuda_backends[device - 1];
}

/* "cuda" or "cuda:<digits>" */
static bool parse_cuda(const char *name, long *number) {
  *number = 0;
  if (strncmp(name, "cuda", 4) != 0) return false;
  if (name[4] == '\0') return true;
  if (name[4] != ':' || name[5] < '0' || name[5] > '9') return false;
  char *end;
  *number = strtol(name + 5, &end, 10);
  return *end == '\0';
}

sr_status sr_device_parse(const char *name, sr_device *device) {
  if (strcmp(name, "cpu") == 0) {
    *device = SR_CPU;
    return SR_OK;
  }
  long number;
  if (!parse_cuda(name, &number))
    return sr__fail(SR_DEVICE, "device '%s': expected 'cpu', 'cuda' or 'cuda:N'", name);
  if (cuda_devices == 0)
    return sr__fail(SR_DEVICE, "device '%s': this build has no CUDA backend; use 'cpu'", name);
  if (number >= cuda_devices)
    return sr__fail(SR_DEVICE, "device '%s': there are %d CUDA devices, cuda:0 to cuda:%d", name,
                    cuda_devices, cuda_devices - 1);
  *device = 1 + (sr_device)number;
  return SR_OK;
}

const char *sr_device_name(sr_device device, char buffer[16]) {
  if (device == SR_CPU)
    snprintf(buffer, 16, "cpu");
  else
    snprintf(buffer, 16, "cuda:%d", (device - 1) % MAX_CUDA_DEVICES);
  return buffer;
}

int sr_device_count(const char *kind) {
  if (strcmp(kind, "cpu") == 0) return 1;
  return strcmp(kind, "cuda") == 0 ? cuda_devices : 0;
}
