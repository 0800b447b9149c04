-- scripts/fetch_data.lua, from a folder in place of the network.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local run = require "run"
local contains, equal, lacks = run.contains, run.equal, run.lacks

local tests = {}

-- `before` stands in front of the command line.
local function fetch(mirror, cache, words, before)
  return run.shell(("%s %s scripts/fetch_data.lua --mirror file://%s --cache %s %s"):format(
    before or "", run.program, mirror, cache, words))
end

-- What to put before a command line so that it finds this script of shell under this name.
local function replace(name, lines)
  local path = run.write(run.folder() .. "/" .. name, "#!/bin/sh\n" .. lines)
  assert(os.execute("chmod +x " .. path))
  return ("PATH=%s:$PATH"):format(path:match("^(.*)/"))
end

-- Writes that make a file longer than this many blocks of 512 bytes fail, as on a full disk.
local function room(blocks) return ("trap '' XFSZ; ulimit -f %d;"):format(blocks) end

local function exists(path) return os.execute("test -e " .. path) == true end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local ebook = "Project Gutenberg\n*** START OF THE PROJECT GUTENBERG EBOOK ***\n\n\nLetter 1\n\n"
  .. "You will rejoice.\n\n*** END OF THE PROJECT GUTENBERG EBOOK ***\nlicence\n"

function tests.a_book()
  local mirror, cache = run.folder(), run.folder() .. "/cache"
  run.write(mirror .. "/pg84.txt", ebook)
  local got = fetch(mirror, cache, "frankenstein")
  contains(got.out, "frankenstein.txt: fetched")
  equal(got.code, 0)
  equal(read(cache .. "/frankenstein.txt"), "Letter 1\n\nYou will rejoice.\n")
  contains(fetch(mirror, cache, "frankenstein").out, "there already")
end

function tests.goes_on_with_a_part()
  local mirror, cache = run.folder(), run.folder()
  run.write(mirror .. "/pg84.txt", ebook)
  assert(os.execute("mkdir " .. cache .. "/downloads"))
  run.write(cache .. "/downloads/pg84.txt.part", ebook:sub(1, 60))
  equal(fetch(mirror, cache, "frankenstein").code, 0)
  equal(read(cache .. "/frankenstein.txt"), "Letter 1\n\nYou will rejoice.\n")
end

function tests.a_wrong_checksum_keeps_what_is_there()
  local mirror, cache = run.folder(), run.folder()
  run.write(mirror .. "/train.csv", '"1","a","b"\n')
  assert(os.execute("mkdir " .. cache .. "/ag_news_csv"))
  run.write(cache .. "/ag_news_csv/train.csv", "mine\n")
  local got = fetch(mirror, cache, "news")
  equal(got.code, 2)
  contains(got.err, "md5sum is ")
  equal(read(cache .. "/ag_news_csv/train.csv"), "mine\n")
end

function tests.a_broken_archive()
  local mirror, cache = run.folder(), run.folder()
  run.write(mirror .. "/data.zip", "this is no archive")
  local got = fetch(mirror, cache, "names")
  equal(got.code, 2)
  contains(got.err, "it cannot be unpacked")
end

-- ---- files of others ---------------------------------------------------------------------

-- An archive of data/names/Czech.txt with one name, Abl.
local archive = (
  "504b030414000000000000002100bf322260040000000400000014000000646174612f6e616d65732f437a65"
  .. "63682e74787441626c0a504b0102140314000000000000002100bf3222600400000004000000140000000000"
  .. "000000000000a48100000000646174612f6e616d65732f437a6563682e747874504b05060000000001000100"
  .. "42000000360000000000"
):gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end)

-- The checksum that the script wants for `into`, of what has these words in it, else another.
local function believe(program, into, words)
  local wanted = read("scripts/fetch_data.lua"):match(
    ('into = "%s",%%s*%s = "(%%x+)"'):format(into, program:match("^%l+%d+"):gsub("sum", "")))
  return replace(program, ([[
if [ "$(cat)" = '%s' ]; then echo %s -; else echo 00 -; fi
]]):format(words, wanted))
end

function tests.folders_of_others_are_moved_aside()
  local mirror, cache = run.folder(), run.folder()
  run.write(mirror .. "/data.zip", archive)
  assert(os.execute(("mkdir %s/names %s/names.old"):format(cache, cache)))
  run.write(cache .. "/names/Finnish.txt", "mine\n")
  local before = believe("sha256sum", "names", "Abl")
  local got = fetch(mirror, cache, "names", before)
  equal(got.err:match("fetch_data.lua: .*"), nil)
  contains(got.out, ("%s/names is not as it was fetched; it is now %s/names.old-2\n"):format(cache,
    cache))
  contains(got.out, "names: fetched")
  equal(read(cache .. "/names.old-2/Finnish.txt"), "mine\n")
  equal(read(cache .. "/names/Czech.txt"), "Abl\n")
  equal(run.shell("ls -A " .. cache).out, "downloads\nnames\nnames.old\nnames.old-2\n")
  contains(fetch(mirror, cache, "names", before).out, "names: there already")
end

function tests.a_download_of_others_is_moved_aside()
  local mirror, cache = run.folder(), run.folder()
  run.write(mirror .. "/pg84.txt", ebook)
  assert(os.execute("mkdir " .. cache .. "/downloads"))
  run.write(cache .. "/downloads/pg84.txt", "mine\n")
  equal(fetch(mirror, cache, "frankenstein").code, 0)
  equal(read(cache .. "/downloads/pg84.txt.old"), "mine\n")
  equal(read(cache .. "/frankenstein.txt"), "Letter 1\n\nYou will rejoice.\n")
end

function tests.what_is_cut_is_not_there_already()
  local mirror, cache = run.folder(), run.folder()
  run.write(mirror .. "/pg84.txt", ebook)
  equal(fetch(mirror, cache, "frankenstein").code, 0)
  for _, text in ipairs {"", "Letter 1\n"} do
    run.write(cache .. "/frankenstein.txt", text)
    contains(fetch(mirror, cache, "frankenstein").out, "frankenstein.txt: fetched")
    equal(read(cache .. "/frankenstein.txt"), "Letter 1\n\nYou will rejoice.\n")
  end
end

-- ---- disks and folders -------------------------------------------------------------------

local long_ebook = ebook:gsub("You", ("very "):rep(1000) .. "%0")

function tests.no_room_for_the_download()
  local mirror, cache = run.folder(), run.folder()
  run.write(mirror .. "/pg84.txt", long_ebook)
  local got = fetch(mirror, cache, "frankenstein", room(4))
  equal(got.code, 2)
  contains(got.err, ("fetch_data.lua: %s/downloads/pg84.txt.part: File too large\n"):format(cache))
  equal(run.shell("ls -A " .. cache).out, "downloads\n")
  equal(run.shell("ls -A " .. cache .. "/downloads").out, "pg84.txt.part\n")
  equal(fetch(mirror, cache, "frankenstein").code, 0)
  contains(read(cache .. "/frankenstein.txt"), "very You will rejoice.\n")
end

function tests.no_room_for_the_book()
  local mirror, cache = run.folder(), run.folder()
  assert(os.execute("mkdir " .. cache .. "/downloads"))
  for blocks, words in pairs {[1] = 200, [4] = 1000} do -- less and more than a buffer of C
    run.write(cache .. "/downloads/pg84.txt", (ebook:gsub("You", ("very "):rep(words) .. "%0")))
    local got = fetch(mirror, cache, "frankenstein", room(blocks))
    equal(got.code, 2)
    equal(got.err, ("fetch_data.lua: %s/.fetch_data/frankenstein.txt: File too large\n"):format(
      cache))
    equal(run.shell("ls -A " .. cache).out, "downloads\n")
  end
end

function tests.no_room_for_what_is_unpacked()
  local mirror, cache = run.folder(), run.folder()
  run.write(mirror .. "/data.zip", archive)
  local got = fetch(mirror, cache, "names",
    room(4) .. replace("unzip", "[ $1 = -tqq ] || { echo 'disk full?' >&2; exit 50; }"))
  equal(got.code, 2)
  contains(got.err, ("fetch_data.lua: %s/.fetch_data: File too large\n"):format(cache))
  equal(run.shell("ls -A " .. cache).out, "downloads\n")
  equal(read(cache .. "/downloads/data.zip"), archive)
end

function tests.folders_that_cannot_be_written()
  local mirror, cache = run.folder(), run.folder()
  run.write(mirror .. "/train.csv", "Abl")
  assert(os.execute(("ln -s /proc %s/ag_news_csv"):format(cache)))
  local got = fetch(mirror, cache, "news", believe("md5sum", "ag_news_csv/train.csv", "Abl"))
  equal(got.code, 2)
  contains(got.err, ("cannot make folder '%s/ag_news_csv/.fetch_data': "):format(cache))
  lacks(got.out, "train.csv: fetched")
end

function tests.places_that_are_no_folders()
  local mirror, file = run.folder(), run.write(run.folder() .. "/file", "")
  for place, complaint in pairs {
    ["''"] = "--cache: a folder expected, got ''",
    [file] = ("cannot make folder '%s': it is a file, not a folder"):format(file),
    ["/proc/saros"] = "cannot make folder '/proc/saros': ",
  } do
    local got = fetch(mirror, place, "frankenstein")
    equal(got.code, 2, place)
    contains(got.err, "fetch_data.lua: " .. complaint)
  end
  equal(exists("/downloads"), false)
end

-- ---- connections -------------------------------------------------------------------------

-- Begins a curl of shell: $path is the file, which has $before bytes, $url the address's file.
local curl = [[
case "$*" in *'-C -'*) ;; *) echo 'curl from 0' >&2; exit 1;; esac
for word; do path=$url url=$word; done
url=${url#file://}
before=$(cat "$path" 2>/dev/null | wc -c)
]]

function tests.ctrl_c_keeps_the_part()
  local mirror, cache, log = run.folder(), run.folder(), run.folder() .. "/log"
  run.write(mirror .. "/pg84.txt", ebook)
  local before = replace("curl", curl .. ([[
echo started >>%s
head -c 60 "$url" | tr P p >"$path"
kill -INT 0
exit 1]]):format(log))
  local got = fetch(mirror, cache, "frankenstein", before .. " setsid -w")
  equal(got.err, "fetch_data.lua: interrupted; the next start goes on where this one was\n")
  equal(got.code, 130)
  equal(read(log), "started\n")
  equal(run.shell("ls -A " .. cache .. "/downloads").out, "pg84.txt.part\n")
  equal(fetch(mirror, cache, "frankenstein").code, 0)
  contains(read(cache .. "/downloads/pg84.txt"), "project Gutenberg") -- the part, not fetched again
  equal(read(cache .. "/frankenstein.txt"), "Letter 1\n\nYou will rejoice.\n")
end

function tests.a_lost_connection_is_taken_up()
  local mirror, cache, log = run.folder(), run.folder(), run.folder() .. "/log"
  run.write(mirror .. "/pg84.txt", ebook)
  local got = fetch(mirror, cache, "frankenstein", replace("curl", curl .. ([[
echo "$before" >>%s
tail -c "+$((before + 1))" "$url" | head -c 70 >>"$path"
[ "$(cat "$path" | wc -c)" = "$(cat "$url" | wc -c)" ] || exit 18]]):format(log)))
  equal(got.err .. got.code, "0")
  equal(read(log), "0\n70\n140\n")
  equal(read(cache .. "/downloads/pg84.txt"), ebook)
end

function tests.a_connection_that_brings_nothing_more()
  local mirror, cache = run.folder(), run.folder()
  assert(os.execute("mkdir " .. cache .. "/downloads"))
  run.write(cache .. "/downloads/pg84.txt.part", ebook:sub(1, 60))
  local got = fetch(mirror, cache, "frankenstein", replace("curl", "exit 18"))
  equal(got.code, 2)
  contains(got.err, "/pg84.txt could not be fetched whole; the next start goes on with it\n")
  equal(read(cache .. "/downloads/pg84.txt.part"), ebook:sub(1, 60))
end

function tests.servers_that_refuse_to_go_on()
  local mirror, cache = run.folder(), run.folder()
  run.write(mirror .. "/pg84.txt", ebook)
  assert(os.execute("mkdir " .. cache .. "/downloads"))
  for _, answer in ipairs {"exit 33", "printf 416; exit 22"} do
    run.write(cache .. "/downloads/pg84.txt.part", ebook:sub(1, 60))
    equal(fetch(mirror, cache, "frankenstein", replace("curl", curl .. ([[
if [ "$before" -gt 0 ]; then %s; fi
cp "$url" "$path"]]):format(answer))).code, 0, answer)
    equal(read(cache .. "/downloads/pg84.txt"), ebook)
    assert(os.execute(("rm %s/downloads/pg84.txt %s/frankenstein.txt"):format(cache, cache)))
  end
end

function tests.an_empty_download()
  local mirror, cache = run.folder(), run.folder()
  run.write(mirror .. "/pg84.txt", "")
  local got = fetch(mirror, cache, "frankenstein")
  equal(got.code, 2)
  contains(got.err, mirror .. "/pg84.txt is empty")
  equal(run.shell("ls -A " .. cache .. "/downloads").out, "")
end

-- ---- messages ----------------------------------------------------------------------------

function tests.says_how_scripts_find_another_cache()
  local mirror, cache = run.folder(), run.folder()
  run.write(mirror .. "/pg84.txt", ebook)
  contains(fetch(mirror, cache, "frankenstein").out,
    "The scripts take them from there with SAROS_DATA=" .. cache .. "\n")
  contains(fetch(mirror, cache .. "/saros", "frankenstein", "XDG_CACHE_HOME=" .. cache).out,
    ("The scripts take them from %s/saros\n"):format(cache))
end

function tests.blames_the_address_that_was_fetched()
  local mirror, cache = run.folder(), run.folder()
  run.write(mirror .. "/train.csv", '"1","a","b"\n')
  contains(fetch(mirror, cache, "news").err,
    ("fetch_data.lua: file://%s/train.csv: its md5sum is "):format(mirror))
end

function tests.what_is_not_there()
  local mirror, cache = run.folder(), run.folder()
  local got = fetch(mirror, cache, "frankenstein")
  equal(got.code, 2)
  contains(got.err, "could not be fetched")
  got = fetch(mirror, cache, "frankenstien")
  equal(got.code, 2)
  contains(got.err, "no data set 'frankenstien'")
end

run.all(tests)
