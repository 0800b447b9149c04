-- Fetches the full data sets of the tutorials into the cache, where the other scripts find them.
--
--   saros scripts/fetch_data.lua                    all of them
--   saros scripts/fetch_data.lua names frankenstein
--
-- What is there already and whole is left alone; an interrupted download goes on where it was.
-- A file takes its place only when its checksum is right. curl (or wget), unzip, sha256sum and
-- md5sum do the work.

local saros = require "saros"
local data, script = saros.data, saros.script

local options = script.options {
  "Fetches the full data sets of the tutorials: names, translation, news, frankenstein.",
  arguments = "[set ...]",
  {"cache", "string", data.cache_folder(), "folder to keep them in"},
  {"mirror", "string", nil, "address of a folder that has the downloads under their last names"},
}

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

-- ---- the shell -------------------------------------------------------------------------------

local function quote(word) return "'" .. word:gsub("'", [['\'']]) .. "'" end

-- Run a command whose %s are quoted words; did it succeed?
local function run(command, ...)
  local words = {...}
  for i, word in ipairs(words) do words[i] = quote(word) end
  return os.execute(command:format(table.unpack(words))) == true
end

local function has(program) return run("command -v %s >/dev/null 2>&1", program) end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- ---- one download ----------------------------------------------------------------------------

-- The checksum of a file, or of all files of a folder in the order of their names.
local function checksum(program, path)
  local what = saros.file_exists(path) == "directory" and "%s/*" or "%s"
  local command = ("cat " .. what .. " | %s"):format(quote(path), program)
  local pipe <close> = assert(io.popen(command))
  return (pipe:read("a"):match("^%x+"))
end

-- nil if the file is right, or what is wrong with it.
local function fault(item, path)
  local program = item.sha256 and "sha256sum" or item.md5 and "md5sum"
  if not program then return nil end
  local wanted, found = item.sha256 or item.md5, checksum(program, path)
  if found == wanted then return nil end
  return ("its %s is %s, not %s"):format(program, found, wanted)
end

-- Brings an address into the folder of downloads; returns the path. A part of it that is there
-- is not fetched again.
local function download(url)
  local name = url:match("[^/]+$")
  local path = options.cache .. "/downloads/" .. name
  if saros.file_exists(path) then return path end
  if options.mirror then url = options.mirror:gsub("/*$", "/") .. name end
  print("fetching " .. url)
  local part = path .. ".part"
  local good
  if has "curl" then
    good = run("curl -fL --retry 3 -C - -o %s %s", part, url)
      or run("curl -fL --retry 3 -o %s %s", part, url) -- a server that cannot go on
  else
    good = run("wget -c -O %s %s", part, url)
  end
  if not good then script.quit("%s could not be fetched", url) end
  assert(os.rename(part, path))
  return path
end

-- The file or folder of an item, unpacked and changed, beside its place.
local function prepare(item, path)
  local fresh = options.cache .. "/downloads/fresh"
  run("rm -rf %s && mkdir %s", fresh, fresh)
  if item.from then
    if not run("unzip -q %s %s -d %s", path, item.from .. "*", fresh)
        and not run("unzip -q %s %s -d %s", path, item.from .. "/*", fresh) then
      return nil, "it cannot be unpacked"
    end
    return fresh .. "/" .. item.from
  end
  local text = read(path)
  if item.change then text = item.change(text) end
  if not text then return nil, "it does not look as expected" end
  local file <close> = assert(io.open(fresh .. "/file", "wb"))
  assert(file:write(text))
  return fresh .. "/file"
end

local function fetch(item)
  local place = options.cache .. "/" .. item.into
  if saros.file_exists(place) and not fault(item, place) then
    print(item.into .. ": there already")
    return
  end
  local path = download(item.url)
  local made, complaint = prepare(item, path)
  complaint = complaint or fault(item, made)
  if complaint then
    os.remove(path) -- the next start fetches it anew
    script.quit("%s: %s", item.url, complaint)
  end
  run("mkdir -p %s && rm -rf %s && mv %s %s", place:match("^(.*)/"), place, made, place)
  print(item.into .. ": fetched")
end

-- ---- all of them -----------------------------------------------------------------------------

if not options.cache then script.quit("no home folder: say where with --cache FOLDER") end
if not has "curl" and not has "wget" then script.quit("curl or wget is needed") end
if not has "unzip" then script.quit("unzip is needed") end

local wanted, known = {}, {}
for _, item in ipairs(downloads) do known[item.set] = true end
for _, set in ipairs(options) do
  if not known[set] then
    script.quit("no data set '%s': names, translation, news, frankenstein", set)
  end
  wanted[set] = true
end

if not run("mkdir -p %s", options.cache .. "/downloads") then
  script.quit("cannot make the folder %s", options.cache)
end
for _, item in ipairs(downloads) do
  if #options == 0 or wanted[item.set] then fetch(item) end
end
print("The scripts take them from " .. options.cache)
