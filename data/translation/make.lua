-- Writes the sentence pairs of this folder: saros make.lua > eng-fra.txt
--
-- A small grammar makes English sentences that begin like "I am", "you are", "she is", and
-- their French translations, with agreement, conjugation and elision. Every line is
-- English, a tab, French. The same lines come out each time.

-- Numbers from 1 to n, the same with every Lua.
local state = 20
local function random(n)
  state = (state * 1103515245 + 12345) & 0x7fffffff
  return (state >> 8) % n + 1
end

-- ---- who -------------------------------------------------------------------------------

-- person: 1 to 6, as verbs are listed; form: of adjectives and nouns, masculine and feminine
-- singular (1, 2), masculine and feminine plural (3, 4); my: the possessive in English.
local subjects = {
  {en = "I am", short = "I'm", fr = "je", person = 1, form = 1, my = "my"},
  {en = "I am", short = "I'm", fr = "je", person = 1, form = 2, my = "my"},
  {en = "You are", short = "You're", fr = "tu", person = 2, form = 1, my = "your"},
  {en = "You are", short = "You're", fr = "tu", person = 2, form = 2, my = "your"},
  {en = "He is", short = "He's", fr = "il", person = 3, form = 1, my = "his"},
  {en = "She is", short = "She's", fr = "elle", person = 3, form = 2, my = "her"},
  {en = "We are", short = "We're", fr = "nous", person = 4, form = 3, my = "our"},
  {en = "You are", short = "You're", fr = "vous", person = 5, form = 3, my = "your"},
  {en = "They are", short = "They're", fr = "ils", person = 6, form = 3, my = "their"},
  {en = "They are", short = "They're", fr = "elles", person = 6, form = 4, my = "their"},
}

local etre = {"suis", "es", "est", "sommes", "êtes", "sont"}
local avoir = {"ai", "as", "a", "avons", "avez", "ont"}
local aller = {"vais", "vas", "va", "allons", "allez", "vont"}
local mon = {"mon", "ton", "son", "notre", "votre", "leur"}
local ma = {"ma", "ta", "sa", "notre", "votre", "leur"}

-- ---- words -------------------------------------------------------------------------------

-- English, then the four forms: masculine, feminine, and their plurals.
local function adjective(en, masculine, feminine, plural)
  feminine = feminine or masculine
  return {en = en, masculine, feminine, plural or masculine .. "s", feminine .. "s"}
end

local adjectives = {
  adjective("tired", "fatigué", "fatiguée"), adjective("happy", "heureux", "heureuse", "heureux"),
  adjective("sad", "triste"), adjective("tall", "grand", "grande"),
  adjective("small", "petit", "petite"), adjective("young", "jeune"),
  adjective("old", "vieux", "vieille", "vieux"), adjective("rich", "riche"),
  adjective("poor", "pauvre"), adjective("strong", "fort", "forte"),
  adjective("weak", "faible"), adjective("sick", "malade"), adjective("busy", "occupé", "occupée"),
  adjective("shy", "timide"), adjective("lazy", "paresseux", "paresseuse", "paresseux"),
  adjective("brave", "courageux", "courageuse", "courageux"),
  adjective("patient", "patient", "patiente"), adjective("careful", "prudent", "prudente"),
  adjective("polite", "poli", "polie"), adjective("nervous", "nerveux", "nerveuse", "nerveux"),
  adjective("curious", "curieux", "curieuse", "curieux"),
  adjective("serious", "sérieux", "sérieuse", "sérieux"), adjective("famous", "célèbre"),
  adjective("calm", "calme"), adjective("kind", "gentil", "gentille"),
  adjective("worried", "inquiet", "inquiète"),
}

local compared = {} -- those in which one can be like a parent
for _, a in ipairs(adjectives) do
  if ("tall rich strong lazy brave patient polite famous"):find(a.en) then
    table.insert(compared, a)
  end
end

local proud, ready = adjective("proud", "fier", "fière"), adjective("ready", "prêt", "prête")
local sorry = adjective("sorry", "désolé", "désolée")
local alone = adjective("alone", "seul", "seule")

local function named(en)
  for _, a in ipairs(adjectives) do
    if a.en == en then return a end
  end
end

-- Too ... to ...
local excuses = {
  tired = {["to drive"] = "conduire", ["to run"] = "courir", ["to work"] = "travailler",
    ["to speak"] = "parler"},
  young = {["to drive"] = "conduire", ["to vote"] = "voter"},
  sick = {["to work"] = "travailler", ["to eat"] = "manger", ["to travel"] = "voyager"},
  busy = {["to play"] = "jouer", ["to answer"] = "répondre", ["to eat"] = "manger"},
  shy = {["to sing"] = "chanter", ["to answer"] = "répondre", ["to dance"] = "danser"},
  old = {["to run"] = "courir", ["to dance"] = "danser", ["to drive"] = "conduire"},
  nervous = {["to eat"] = "manger", ["to sleep"] = "dormir", ["to speak"] = "parler"},
}

-- What people are: no article in French. `en` with its article, `many` the plural.
local function profession(en, many, masculine, feminine)
  feminine = feminine or masculine
  return {en = en, many = many, masculine, feminine, masculine .. "s", feminine .. "s"}
end

local professions = {
  profession("a doctor", "doctors", "médecin"), profession("a student", "students", "étudiant",
    "étudiante"), profession("a baker", "bakers", "boulanger", "boulangère"),
  profession("a musician", "musicians", "musicien", "musicienne"),
  profession("a lawyer", "lawyers", "avocat", "avocate"),
  profession("an engineer", "engineers", "ingénieur", "ingénieure"),
  profession("a journalist", "journalists", "journaliste"),
  profession("a nurse", "nurses", "infirmier", "infirmière"),
  profession("a cook", "cooks", "cuisinier", "cuisinière"),
  profession("a gardener", "gardeners", "jardinier", "jardinière"),
  profession("an artist", "artists", "artiste"), profession("a dentist", "dentists", "dentiste"),
  profession("a farmer", "farmers", "agriculteur", "agricultrice"),
}

local places = {
  ["at home"] = "à la maison", ["in the garden"] = "dans le jardin", ["at school"] = "à l'école",
  ["in the kitchen"] = "dans la cuisine", ["at the station"] = "à la gare",
  ["in Paris"] = "à Paris", ["at the beach"] = "à la plage", ["on the train"] = "dans le train",
  ["at work"] = "au travail", ["at the library"] = "à la bibliothèque",
  ["in the car"] = "dans la voiture", ["in the street"] = "dans la rue",
  ["in bed"] = "au lit", ["on holiday"] = "en vacances", ["late"] = "en retard",
  ["angry"] = "en colère", ["in danger"] = "en danger",
}

-- What someone does now, in six persons, and its objects.
local actions = {
  {"reading", {"lis", "lis", "lit", "lisons", "lisez", "lisent"},
    {["a book"] = "un livre", ["the newspaper"] = "le journal", ["a letter"] = "une lettre"}},
  {"writing", {"écris", "écris", "écrit", "écrivons", "écrivez", "écrivent"},
    {["a book"] = "un livre", ["a letter"] = "une lettre", ["a song"] = "une chanson"}},
  {"eating", {"mange", "manges", "mange", "mangeons", "mangez", "mangent"},
    {["an apple"] = "une pomme", ["bread"] = "du pain", ["fish"] = "du poisson"}},
  {"drinking", {"bois", "bois", "boit", "buvons", "buvez", "boivent"},
    {["tea"] = "du thé", ["coffee"] = "du café", ["water"] = "de l'eau", ["milk"] = "du lait"}},
  {"waiting for", {"attends", "attends", "attend", "attendons", "attendez", "attendent"},
    {["the bus"] = "le bus", ["the train"] = "le train", ["a letter"] = "une lettre"}},
  {"looking for", {"cherche", "cherches", "cherche", "cherchons", "cherchez", "cherchent"},
    {["the keys"] = "les clés", ["the cat"] = "le chat", ["the station"] = "la gare",
      ["the children"] = "les enfants"}},
  {"singing", {"chante", "chantes", "chante", "chantons", "chantez", "chantent"},
    {["a song"] = "une chanson"}},
  {"listening to", {"écoute", "écoutes", "écoute", "écoutons", "écoutez", "écoutent"},
    {["the radio"] = "la radio", ["music"] = "de la musique", ["the children"] = "les enfants"}},
  {"watching", {"regarde", "regardes", "regarde", "regardons", "regardez", "regardent"},
    {["a film"] = "un film", ["the cat"] = "le chat", ["the children"] = "les enfants"}},
  {"learning", {"apprends", "apprends", "apprend", "apprenons", "apprenez", "apprennent"},
    {["French"] = "le français", ["English"] = "l'anglais"}},
  {"washing", {"lave", "laves", "lave", "lavons", "lavez", "lavent"},
    {["the car"] = "la voiture", ["the dishes"] = "la vaisselle"}},
  {"selling", {"vends", "vends", "vend", "vendons", "vendez", "vendent"},
    {["the house"] = "la maison", ["the car"] = "la voiture", ["flowers"] = "des fleurs"}},
}

-- Where English is and French has.
local conditions = {
  ["hungry"] = "faim", ["thirsty"] = "soif", ["cold"] = "froid", ["hot"] = "chaud",
  ["right"] = "raison", ["wrong"] = "tort", ["sleepy"] = "sommeil",
  ["afraid of dogs"] = "peur des chiens", ["afraid of the dark"] = "peur du noir",
  ["ten years old"] = "dix ans", ["twenty years old"] = "vingt ans",
}

local plans = {
  ["eat"] = "manger", ["leave tomorrow"] = "partir demain", ["sell the car"] = "vendre la voiture",
  ["write a letter"] = "écrire une lettre", ["learn French"] = "apprendre le français",
  ["buy bread"] = "acheter du pain", ["wait here"] = "attendre ici",
  ["work tonight"] = "travailler ce soir", ["sleep now"] = "dormir maintenant",
  ["watch a film"] = "regarder un film", ["take the bus"] = "prendre le bus",
  ["visit Paris"] = "visiter Paris", ["call the doctor"] = "appeler le médecin",
}

local purposes = {["leave"] = "partir", ["start"] = "commencer", ["eat"] = "manger",
  ["help"] = "aider", ["work"] = "travailler"}

-- ---- French ------------------------------------------------------------------------------------

local function begins_with_vowel(word)
  return word:find("^[aeiou]") or word:find("^é") or word:find("^ê")
end

-- je + ai -> j'ai, ne + est -> n'est
local function join(first, second)
  if begins_with_vowel(second) and (first == "je" or first == "ne") then
    return first:sub(1, 1) .. "'" .. second
  end
  return first .. " " .. second
end

local function capital(s)
  return s:sub(1, 1):upper() .. s:sub(2)
end

-- Subject and verb in the subject's person, then the rest.
local function say(s, verb, rest)
  return join(s.fr, verb[s.person]) .. " " .. rest
end

local function deny(s, verb, rest)
  return s.fr .. " " .. join("ne", verb[s.person]) .. " pas " .. rest
end

-- ---- sentences ---------------------------------------------------------------------------------

local pairs_of_kind = {} -- kind -> list of {subject, English after it, French}
local kinds = {}

local function add(kind, s, english, french)
  if not pairs_of_kind[kind] then
    pairs_of_kind[kind] = {}
    table.insert(kinds, kind)
  end
  table.insert(pairs_of_kind[kind], {s, english, french})
end

-- Pairs of a table by key, so that each run meets them in the same order.
local function sorted(t)
  local keys = {}
  for key in pairs(t) do table.insert(keys, key) end
  table.sort(keys)
  local i = 0
  return function()
    i = i + 1
    return keys[i], t[keys[i]]
  end
end

local degrees = {very = "très", too = "trop", really = "vraiment"}

local function sentences_about(s)
  for _, a in ipairs(adjectives) do
    add("plain", s, a.en, say(s, etre, a[s.form]))
    add("not", s, "not " .. a.en, deny(s, etre, a[s.form]))
    for en, fr in sorted(degrees) do
      add("degree", s, en .. " " .. a.en, say(s, etre, fr .. " " .. a[s.form]))
    end
  end
  for _, a in ipairs(compared) do
    local parents = {father = mon[s.person] .. " père", mother = ma[s.person] .. " mère"}
    for en, fr in sorted(parents) do
      local rest = ("aussi %s que %s"):format(a[s.form], fr)
      local english = ("%s as %s %s"):format(a.en, s.my, en)
      add("as", s, "as " .. english, say(s, etre, rest))
      add("not as", s, "not as " .. english, deny(s, etre, rest))
    end
  end
  for en, excuse in sorted(excuses) do
    for what, fr in sorted(excuse) do
      add("too", s, ("too %s %s"):format(en, what),
        say(s, etre, ("trop %s pour %s"):format(named(en)[s.form], fr)))
    end
  end
  for _, p in ipairs(professions) do
    add("profession", s, s.form <= 2 and p.en or p.many, say(s, etre, p[s.form]))
  end
  for en, fr in sorted(places) do
    add("place", s, en, say(s, etre, fr))
    add("not place", s, "not " .. en, deny(s, etre, fr))
  end
  for _, action in ipairs(actions) do
    for en, fr in sorted(action[3]) do
      add("action", s, action[1] .. " " .. en, say(s, action[2], fr))
    end
  end
  for en, fr in sorted(conditions) do
    add("condition", s, en, say(s, avoir, fr))
  end
  for en, fr in sorted(plans) do
    add("plan", s, "going to " .. en, say(s, aller, fr))
  end
  for en, fr in sorted(purposes) do
    add("ready", s, "ready to " .. en, say(s, etre, ready[s.form] .. " à " .. fr))
  end
  add("alone", s, "alone", say(s, etre, alone[s.form]))
  add("proud", s, ("proud of %s father"):format(s.my),
    say(s, etre, ("%s de %s père"):format(proud[s.form], mon[s.person])))
  add("proud", s, ("proud of %s mother"):format(s.my),
    say(s, etre, ("%s de %s mère"):format(proud[s.form], ma[s.person])))
  if s.person ~= 2 and s.person ~= 5 then
    add("proud", s, "really proud of you",
      say(s, etre, ("réellement %s de vous"):format(proud[s.form])))
    add("proud", s, "proud of you", say(s, etre, proud[s.form] .. " de toi"))
    add("sorry", s, "sorry if this is a stupid question",
      say(s, etre, sorry[s.form] .. " si c'est une question idiote"))
  end
end

for _, s in ipairs(subjects) do sentences_about(s) end

-- How many of each kind; the rest are all.
local wanted = {plain = 80, ["not"] = 40, degree = 60, as = 25, ["not as"] = 35, too = 45,
  profession = 50, place = 50, ["not place"] = 15, action = 70, condition = 45, plan = 45,
  ready = 20}

-- These are translated at the end of the script.
local always = {["Il n'est pas aussi grand que son père."] = true,
  ["Je suis trop fatigué pour conduire."] = true}

local lines, seen = {}, {}

local function keep(s, english, french)
  french = capital(french) .. "."
  if seen[french] then return end
  seen[french] = true
  local subject = english:find("^not ") and s.short or s.en -- "He's not tall", "He is tall"
  table.insert(lines, ("%s %s.\t%s"):format(subject, english, french))
end

-- `count` sentences of a kind, drawn without putting back.
local function choose(list, count)
  for i = 1, math.min(count, #list) do
    local k = i - 1 + random(#list - i + 1)
    list[i], list[k] = list[k], list[i]
    keep(table.unpack(list[i]))
  end
end

for _, kind in ipairs(kinds) do
  local list = pairs_of_kind[kind]
  for _, p in ipairs(list) do
    if always[capital(p[3]) .. "."] then keep(table.unpack(p)) end
  end
  choose(list, wanted[kind] or #list)
end

table.sort(lines, function(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end)
for _, line in ipairs(lines) do print(line) end
