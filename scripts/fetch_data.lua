-- Fetches the full data sets of the tutorials into the cache, where the other scripts find them.
--
--   saros scripts/fetch_data.lua                    all of them
--   saros scripts/fetch_data.lua names frankenstein
--
-- What is there already and whole is left alone; an interrupted download goes on where it was.
-- A file takes its place only when it is whole; what else lies there is moved aside, not deleted.
-- curl (or wget), unzip, sha256sum and md5sum do the work.

local saros = require "saros"
local data, script = saros.data, saros.script

local options = script.options {
  "Fetches the full data sets of the tutorials: names, translation, news, frankenstein.",
  arguments = "[set ...]",
  {"cache", "string", data.cache_folder(), "folder to keep them in"},
  {"mirror", "string", nil, "address of a folder that has the downloads under their last names"},
}

local cache = (options.cache or ""):gsub("^%-", "./-"):gsub("(.)/+$", "%1") -- -x is no option
local downloads_folder = cache .. "/downloads"

local tutorials = "https://download.pytorch.org/tutorial/data.zip"
local news = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"

-- Of an ebook: what stands between Project Gutenberg's header and licence.
local function without_licence(text)
  local body = text:match("%*%*%* ?START OF [^\n]*\n(.-)%*%*%* ?END OF ")
  return body and body:gsub("^%s+", ""):gsub("%s+$", "") .. "\n"
end

-- set: what the user calls it; into: its place in the cache; from: its place in an archive;
-- one of sha256, md5 of the file, or of the files of a folder one after the other.
local downloads = {
  {set = "names", url = tutorials, from = "data/names", into = "names",
   sha256 = "b878953b47975bcd139f6c1b0f73d49878e218b1407726932325abf2415ad512"},
  {set = "translation", url = tutorials, from = "data/eng-fra.txt", into = "eng-fra.txt",
   sha256 = "6b0f3decdb78600485b58efb541f5a2ab69ba888742ac04180e013084e40de7c"},
  {set = "news", url = news .. "train.csv", into = "ag_news_csv/train.csv",
   md5 = "b1a00f826fdfbd249f79597b59e1dc12"},
  {set = "news", url = news .. "test.csv", into = "ag_news_csv/test.csv",
   md5 = "d52ea96a97a2d943681189a97654912d"},
  {set = "news", url = news .. "classes.txt", into = "ag_news_csv/classes.txt",
   sha256 = "612dbfa932f07a6ed837295a7d5746ce7412e7bb4bc32ba919fdb3cda3a1b9b5"},
  {set = "frankenstein", url = "https://www.gutenberg.org/cache/epub/84/pg84.txt",
   into = "frankenstein.txt", change = without_licence},
}

-- ---- the end ---------------------------------------------------------------------------------

local function quote(word) return "'" .. word:gsub("'", [['\'']]) .. "'" end

local fresh -- a folder for what is being unpacked, beside its place, while there is one

local function remove_fresh()
  if fresh then os.execute("rm -rf " .. quote(fresh)) end
  fresh = nil
end

local function quit(...)
  remove_fresh()
  script.quit(...)
end

local function stop()
  remove_fresh()
  io.stdout:flush()
  io.stderr:write(script.name(), ": interrupted; the next start goes on where this one was\n")
  os.exit(130)
end

-- End the script unless a step with a file was good: "c/names: Permission denied".
local function check(path, good, message)
  if not good then quit("%s: %s", path, message:match("[^:]*$"):gsub("^ ", "")) end
  return good
end

-- ---- the shell -------------------------------------------------------------------------------

-- Run a line of shell. Ctrl-C stops it and the script; os.execute would hide it from the script.
local function ask(command)
  local pipe <close> = assert(io.popen(command))
  local text = pipe:read("a")
  local good, how, status = pipe:close()
  if saros.interrupt_seen() or how == "signal" and status == 2 or status == 130 then stop() end
  return good == true, status, text
end

-- Run a command whose %s are quoted words: did it succeed, its exit status, what it printed.
local function run(command, ...)
  local words = {...}
  for i, word in ipairs(words) do words[i] = quote(word) end
  return ask(command:format(table.unpack(words)) .. " </dev/null")
end

local function has(program) return (run("command -v %s", program)) end

-- ---- files -----------------------------------------------------------------------------------

local function read(path) return check(path, saros.read_file(path)) end

local function make_folder(path)
  local good, message = saros.make_directory(path)
  if not good then quit("%s", message) end
end

-- In bytes; 0 if there is no such file.
local function size(path)
  local file <close> = io.open(path, "rb")
  return file and file:seek("end") or 0
end

-- End the script because a program could not write; which does not say why, so try it.
local function cannot_write(path, folder)
  local probe = folder .. "/.fetch_data-probe"
  local good, message = saros.write_file(probe, ("x"):rep(1 << 16))
  os.remove(probe)
  check(path, false, good and "it cannot be written" or message)
end

-- Make room, without deleting: names becomes names.old, or names.old-2 and so on.
local function put_aside(path)
  local aside, n = path .. ".old", 1
  while saros.file_exists(aside) do
    n = n + 1
    aside = ("%s.old-%d"):format(path, n)
  end
  check(path, os.rename(path, aside))
  print(("%s is not as it was fetched; it is now %s"):format(path, aside))
end

-- ---- one download ----------------------------------------------------------------------------

-- What an item is made of, if it is no archive: nil if the download does not look as expected.
local function text_of(item, path)
  local text = read(path)
  if item.change then text = item.change(text) end
  return text ~= "" and text or nil
end

local function download_path(item) return downloads_folder .. "/" .. item.url:match("[^/]+$") end

-- The checksum of a file, or of all files of a folder in the order of their names.
local function checksum(program, path)
  local what = saros.file_exists(path) == "directory" and "%s/*" or "%s"
  local _, _, text = ask(("cat " .. what .. " 2>/dev/null | %s"):format(quote(path), program))
  return text:match("^%x+")
end

-- nil if the file is right, or what is wrong with it. Without a checksum it is compared with what
-- was downloaded.
local function fault(item, path)
  local program = item.sha256 and "sha256sum" or item.md5 and "md5sum"
  if program then
    local wanted, found = item.sha256 or item.md5, checksum(program, path)
    return found ~= wanted and ("its %s is %s, not %s"):format(program, found, wanted) or nil
  end
  if size(path) == 0 then return "it is empty" end
  local source = download_path(item)
  if size(source) > 0 and read(path) ~= text_of(item, source) then
    return "it is not what was downloaded"
  end
end

-- How to go on with a file (-N: Ctrl-C loses no bytes), the exit status of a failed write, and does
-- the server refuse to send the rest alone (curl prints what the server answers)?
local programs = {
  curl = {
    command = "curl -fLN --retry 3 -C - -w '%%{http_code}' -o %s %s", cannot_write = 23,
    refused = function(status, printed)
      return status == 33 or status == 36 or printed == "416"
    end,
  },
  wget = { -- it begins anew by itself
    command = "wget -c -O %s %s", cannot_write = 3, refused = function() return false end,
  },
}

-- Bring an address into a file; did it succeed? What is there already is not fetched again, unless
-- the server refuses; a connection that is lost is taken up where it was.
local function get(url, path)
  local program = programs[has "curl" and "curl" or "wget"]
  while true do
    local before = size(path)
    local good, status, printed = run(program.command, path, url)
    if good then return true end
    if status == program.cannot_write then cannot_write(path, downloads_folder) end
    if before > 0 and program.refused(status, printed) then
      os.remove(path)
    elseif size(path) <= before then
      return false
    end
  end
end

-- Bring an item's address into the folder of downloads. Returns the file, and the address unless
-- the file was there.
local function download(item)
  local path = download_path(item)
  if size(path) > 0 then return path end
  local url = item.url
  if options.mirror then url = options.mirror:gsub("/*$", "/") .. url:match("[^/]+$") end
  print("fetching " .. url)
  local part = path .. ".part"
  check(part, io.open(part, "ab")):close() -- a folder that cannot be written is found out now
  local good = get(url, part)
  if size(part) > 0 then
    if not good then quit("%s could not be fetched whole; the next start goes on with it", url) end
    check(path, os.rename(part, path))
    return path, url
  end
  os.remove(part)
  quit("%s %s", url, good and "is empty" or "could not be fetched")
end

-- The file or folder of an item, unpacked and changed, in the folder `fresh` beside its place; or
-- nil and what is wrong with the download.
local function prepare(item, path, folder)
  fresh = folder .. "/.fetch_data"
  os.execute("rm -rf " .. quote(fresh)) -- of a start that was killed
  make_folder(fresh)
  if item.from then
    if not run("unzip -tqq %s", path) then return nil, "it cannot be unpacked" end
    if not run("unzip -qo %s %s -d %s", path, item.from .. "*", fresh) then
      cannot_write(fresh, folder)
    end
    return fresh .. "/" .. item.from
  end
  local text = text_of(item, path)
  if not text then return nil, "it does not look as expected" end
  local made = fresh .. "/" .. item.into:match("[^/]+$")
  check(made, saros.write_file(made, text))
  return made
end

local function fetch(item)
  local place = cache .. "/" .. item.into
  if saros.file_exists(place) and not fault(item, place) then
    print(item.into .. ": there already")
    return
  end
  local folder = place:match("^(.*)/")
  make_folder(folder)
  local path, address = download(item)
  local made, complaint = prepare(item, path, folder)
  complaint = complaint or fault(item, made)
  if complaint and not address then
    put_aside(path)
    return fetch(item)
  elseif complaint then
    os.remove(path) -- the next start fetches it anew
    quit("%s: %s", address, complaint)
  end
  if saros.file_exists(place) then put_aside(place) end
  check(place, os.rename(made, place))
  remove_fresh()
  print(item.into .. ": fetched")
end

-- ---- all of them -----------------------------------------------------------------------------

if not options.cache then quit("no home folder: say where with --cache FOLDER") end
if cache == "" then quit("--cache: a folder expected, got ''") end

saros.hold_interrupts(true) -- Ctrl-C ends the script in `stop`
if not has "curl" and not has "wget" then quit("curl or wget is needed") end
for _, program in ipairs {"unzip", "sha256sum", "md5sum"} do
  if not has(program) then quit("%s is needed", program) end
end

local wanted, known = {}, {}
for _, item in ipairs(downloads) do known[item.set] = true end
for _, set in ipairs(options) do
  if not known[set] then
    quit("no data set '%s': names, translation, news, frankenstein", set)
  end
  wanted[set] = true
end

make_folder(downloads_folder)
for _, item in ipairs(downloads) do
  if #options == 0 or wanted[item.set] then fetch(item) end
end

local searched = cache == data.cache_folder() or cache == os.getenv "SAROS_DATA"
print(searched and "The scripts take them from " .. cache
  or "The scripts take them from there with SAROS_DATA=" .. cache)
