-- scripts/fetch_data.lua, from a folder in place of the network.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local run = require "run"
local contains, equal = run.contains, run.equal

local tests = {}

local function fetch(mirror, cache, words)
  return run.saros(("scripts/fetch_data.lua --mirror file://%s --cache %s %s"):format(mirror, cache,
    words))
end

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
