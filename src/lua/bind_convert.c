/* bind_convert.c: copies, other dtypes, other devices. */
#include "lua/binding.h"

static int clone(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "clone", "input");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_clone(x, y));
  return sr_filled(L, 1);
}

static int contiguous(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "contiguous", "input");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_contiguous(x, y));
  return sr_filled(L, 1);
}

static int push_converted(lua_State *L, sr_tensor *x, sr_dtype dtype, sr_device device) {
  if (dtype == sr_tensor_dtype(x) && device == sr_tensor_device(x)) {
    lua_settop(L, 1); /* nothing changes: the same tensor */
    return 1;
  }
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_to(x, dtype, device, y));
  return sr_filled(L, 1);
}

static bool names_dtype(const char *name) {
  sr_dtype dtype;
  return sr_dtype_parse(name, &dtype) == SR_OK;
}

/* to("float64"), to("cuda"), to(other), to{dtype =, device =}, to("cuda", "float64") */
static int to(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "to", "input");
  sr_dtype dtype = sr_tensor_dtype(x);
  sr_device device = sr_tensor_device(x);
  if (lua_type(L, 2) == LUA_TTABLE) {
    static const char *const names[] = {"input", "device", "dtype", NULL};
    sr_arguments(L, "to", names);
    dtype = sr_optional_dtype(L, 3, dtype, "to");
    if (!lua_isnil(L, 2)) device = sr_optional_device(L, 2, "to");
    return push_converted(L, x, dtype, device);
  }
  if (lua_gettop(L) < 2) sr_error(L, "to: a dtype, a device or a tensor is expected");
  for (int i = 2; i <= lua_gettop(L); i++) {
    sr_tensor *other = sr_to_tensor(L, i);
    if (other) {
      dtype = sr_tensor_dtype(other);
      device = sr_tensor_device(other);
    } else if (names_dtype(sr_check_string(L, i, "to", "dtype or device"))) {
      dtype = sr_optional_dtype(L, i, dtype, "to");
    } else if (sr_device_parse(lua_tostring(L, i), &device)) {
      sr_error(L,
               "to: '%s' is neither a dtype (float32, float64, int64, bool) nor a device here (%s)",
               lua_tostring(L, i), sr_message());
    }
  }
  return push_converted(L, x, dtype, device);
}

static int convert(lua_State *L, sr_dtype dtype, const char *function) {
  sr_tensor *x = sr_check_tensor(L, 1, function, "input");
  return push_converted(L, x, dtype, sr_tensor_device(x));
}

static int to_float(lua_State *L) { return convert(L, SR_float32, "float"); }
static int to_double(lua_State *L) { return convert(L, SR_float64, "double"); }
static int to_long(lua_State *L) { return convert(L, SR_int64, "long"); }
static int to_bool(lua_State *L) { return convert(L, SR_bool, "bool"); }

static int cpu(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "cpu", "input");
  return push_converted(L, x, sr_tensor_dtype(x), SR_CPU);
}

static int cuda(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "cuda", "input");
  sr_device device;
  sr_raise(L, sr_device_parse("cuda", &device));
  return push_converted(L, x, sr_tensor_dtype(x), device);
}

/* type(x): its dtype; type(x, "float64") converts */
static int type(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "type", "input");
  if (lua_isnoneornil(L, 2)) {
    lua_pushstring(L, sr_dtype_name(sr_tensor_dtype(x)));
    return 1;
  }
  return push_converted(L, x, sr_optional_dtype(L, 2, SR_float32, "type"), sr_tensor_device(x));
}

static int type_as(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "type_as", "input");
  sr_tensor *other = sr_check_tensor(L, 2, "type_as", "other");
  return push_converted(L, x, sr_tensor_dtype(other), sr_tensor_device(other));
}

static const sr_binding functions[] = {
    {"clone", clone, true},
    {"contiguous", contiguous, true},
    {"to", to, true},
    {"type", type, true},
    {"type_as", type_as, true},
    {"float", to_float, true},
    {"double", to_double, true},
    {"long", to_long, true},
    {"int", to_long, true},
    {"bool", to_bool, true},
    {"cpu", cpu, true},
    {"cuda", cuda, true}, /* the method; the function gives way to the table saros.cuda */
    {0},
};

void sr_bind_convert(lua_State *L) {
  sr_register(L, functions);
  /* saros.float32 is "float32": x.dtype == saros.float32, {dtype = saros.float32} */
  for (int dtype = 0; dtype < SR_DTYPES; dtype++) {
    const char *name = sr_dtype_name((sr_dtype)dtype);
    if (dtype == SR_bool) continue; /* a function */
    lua_pushstring(L, name);
    lua_setfield(L, -2, name);
  }
}
