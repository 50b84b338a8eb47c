-- An example plugin: every event of a call becomes a JSON POST, with the caller's number in the
-- form that this CRM wants. Calls of internal numbers are skipped.
--
-- glue.c calls the three functions that this script returns. Names are those of the contract with
-- `_` for `-`; what is not known is nil.

local plugin = {}

function plugin.describe()
  return {
    name = "example-lua",
    version = "0.1.0",
    summary = "Sends every event as a JSON POST",
    settings = {
      { name = "source", help = "what the CRM shows as the origin", default = "callhook" },
    },
  }
end

function plugin.check()
  local source = callhook.setting("source") or ""
  if source == "" then
    return { { setting = "source", message = "it must not be empty" } }
  elseif source:find("[^ -~]") then
    local message = "it must be plain ASCII, because it is sent as a header"
    return { { setting = "source", message = message } }
  end
  return {}
end

-- The digits of a number, without the `00` of an international call.
local function digits(number)
  return (number:gsub("[^0-9]", ""):gsub("^00", ""))
end

local escapes = {
  ['"'] = '\\"', ["\\"] = "\\\\",
  ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
}

local function json(value)
  if type(value) ~= "string" then
    return value == nil and "null" or tostring(value)
  end
  local escaped = value:gsub('[\0-\31"\\]', function(sign)
    return escapes[sign] or string.format("\\u%04x", sign:byte())
  end)
  return '"' .. escaped .. '"'
end

function plugin.transform(event, draft)
  local number = digits(event.caller_id)
  local short = #number >= 1 and #number <= 5
  if event.direction == "internal" or short then
    return { skip = "an internal number" }
  end

  local kind, answered
  if event.kind.type == "ringing" then
    kind, answered = "ringing", false
  elseif event.kind.type == "started" then
    kind, answered = "answered", true
  elseif event.kind.type == "ended" then
    kind, answered = "ended", event.kind.talk_ms ~= nil
  else
    return { skip = "not of interest" }
  end

  draft.method = "POST"
  draft.headers = {
    { name = "content-type", value = "application/json" },
    { name = "x-source", value = callhook.setting("source") },
  }
  draft.body = "{" .. table.concat({
    '"call":' .. json(event.id),
    '"event":' .. json(kind),
    '"direction":' .. json(event.direction),
    '"number":' .. json(number ~= "" and "+" .. number or nil), -- withheld
    '"name":' .. json(event.caller_name),
    '"extension":' .. json(event.user.number),
    '"answered":' .. json(answered),
    '"at":' .. json(event.occurred_at.text),
  }, ",") .. "}"
  return { send = { draft } }
end

return plugin
