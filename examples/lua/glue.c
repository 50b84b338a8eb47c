// Between callhook and plugin.lua. It need not be read to write a plugin: it holds for any script.
//
// Each call of the plugin happens in a fresh instance: a new Lua runs the script, which returns a
// table of functions, and calls one of them. So nothing is freed here; what is handed back is
// freed by the bindings, and comes from malloc.

#include <stdlib.h>
#include <string.h>

#include "callhook.h"
#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

static const char script[] = {
#embed "plugin.lua"
};

// === From the bindings to Lua ===

#define SET(L, name, push) ((push), lua_setfield(L, -2, name))

static void push_text(lua_State *L, callhook_string_t text) {
    lua_pushlstring(L, (const char *)text.ptr, text.len);
}

static void push_bytes(lua_State *L, callhook_list_u8_t bytes) {
    lua_pushlstring(L, (const char *)bytes.ptr, bytes.len);
}

static void push_option(lua_State *L, callhook_option_string_t text) {
    if (text.is_some) push_text(L, text.val);
    else lua_pushnil(L);
}

static void push_number(lua_State *L, callhook_option_u32_t number) {
    if (number.is_some) lua_pushinteger(L, number.val);
    else lua_pushnil(L);
}

static void push_word(lua_State *L, const char *const *words, uint8_t word) {
    lua_pushstring(L, words[word]);
}

static void push_time(lua_State *L, callhook_timestamp_t time) {
    lua_newtable(L);
    SET(L, "text", push_text(L, time.text));
    SET(L, "epoch_ms", lua_pushinteger(L, (lua_Integer)time.epoch_ms));
}

static void push_time_option(lua_State *L, callhook_option_timestamp_t time) {
    if (time.is_some) push_time(L, time.val);
    else lua_pushnil(L);
}

// As a table from name to value.
static void push_fields(lua_State *L, callhook_list_field_t fields) {
    lua_newtable(L);
    for (size_t i = 0; i < fields.len; i++) {
        push_text(L, fields.ptr[i].name);
        push_text(L, fields.ptr[i].value);
        lua_settable(L, -3);
    }
}

static void push_party(lua_State *L, callhook_party_t party) {
    const char *const kinds[] = {"extension", "queue"};
    lua_newtable(L);
    SET(L, "number", push_text(L, party.number));
    if (party.kind.tag == CALLHOOK_PARTY_KIND_OTHER) SET(L, "kind", push_text(L, party.kind.val.other));
    else SET(L, "kind", push_word(L, kinds, party.kind.tag));
    SET(L, "name", push_option(L, party.name));
    SET(L, "email", push_option(L, party.email));
}

static void push_party_option(lua_State *L, callhook_option_party_t party) {
    if (party.is_some) push_party(L, party.val);
    else lua_pushnil(L);
}

static const char *const transfers[] = {"not-def", "blind", "accomp"};

static void set_ringing(lua_State *L, callhook_ringing_t *ringing) {
    SET(L, "transfer", push_word(L, transfers, ringing->transfer));
    SET(L, "transferred_by", push_party_option(L, ringing->transferred_by));
}

static void set_started(lua_State *L, callhook_started_t *started) {
    SET(L, "transfer", push_word(L, transfers, started->transfer));
    SET(L, "transferred_by", push_party_option(L, started->transferred_by));
    SET(L, "rang_at", push_time_option(L, started->rang_at));
    SET(L, "ring_ms", push_number(L, started->ring_ms));
    SET(L, "wait_ms", lua_pushinteger(L, started->wait_ms));
}

static void set_ended(lua_State *L, callhook_ended_t *ended) {
    const char *const finishes[] = {"ok", "missed"};
    const char *const sides[] = {"external", "user", "unknown"};
    const char *const callbacks[] = {"yes", "no", "unknown"};
    SET(L, "finish", push_word(L, finishes, ended->finish));
    SET(L, "transferred", lua_pushboolean(L, ended->transferred));
    SET(L, "transferred_to", push_party_option(L, ended->transferred_to));
    SET(L, "hung_up_by", push_word(L, sides, ended->hung_up_by));
    SET(L, "title", push_text(L, ended->title));
    SET(L, "rang_at", push_time_option(L, ended->rang_at));
    SET(L, "answered_at", push_time_option(L, ended->answered_at));
    SET(L, "ring_ms", push_number(L, ended->ring_ms));
    SET(L, "wait_ms", lua_pushinteger(L, ended->wait_ms));
    SET(L, "talk_ms", push_number(L, ended->talk_ms));
    SET(L, "callback_ordered", push_word(L, callbacks, ended->callback_ordered));
    lua_newtable(L);
    for (size_t i = 0; i < ended->unanswered.len; i++) {
        push_party(L, ended->unanswered.ptr[i]);
        lua_seti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "unanswered");
}

static void set_ringing_stopped(lua_State *L, callhook_ringing_stopped_t *stopped) {
    const char *const reasons[] = {"answered-elsewhere", "moved", "caller-gone", "rejected", "unknown"};
    if (stopped->reason.tag == CALLHOOK_STOP_REASON_OTHER)
        SET(L, "reason", push_text(L, stopped->reason.val.other));
    else SET(L, "reason", push_word(L, reasons, stopped->reason.tag));
    SET(L, "rang_ms", lua_pushinteger(L, stopped->rang_ms));
}

// `type` says what happened; the details are beside it.
static void push_kind(lua_State *L, callhook_event_kind_t *kind) {
    const char *const types[] = {"ringing", "started", "ended",     "ringing-stopped", "dialing",
                                 "hold",    "resume",  "recording", "other"};
    lua_newtable(L);
    SET(L, "type", push_word(L, types, kind->tag));
    switch (kind->tag) {
    case CALLHOOK_EVENT_KIND_RINGING: set_ringing(L, &kind->val.ringing); break;
    case CALLHOOK_EVENT_KIND_STARTED: set_started(L, &kind->val.started); break;
    case CALLHOOK_EVENT_KIND_ENDED: set_ended(L, &kind->val.ended); break;
    case CALLHOOK_EVENT_KIND_RINGING_STOPPED: set_ringing_stopped(L, &kind->val.ringing_stopped); break;
    case CALLHOOK_EVENT_KIND_RECORDING:
        SET(L, "url", push_text(L, kind->val.recording.url));
        SET(L, "duration_ms", push_number(L, kind->val.recording.duration_ms));
        break;
    case CALLHOOK_EVENT_KIND_OTHER:
        SET(L, "name", push_text(L, kind->val.other.name));
        SET(L, "fields", push_fields(L, kind->val.other.fields));
        break;
    }
}

static void push_event(lua_State *L, callhook_call_event_t *event) {
    const char *const directions[] = {"incoming", "outgoing", "internal", "unknown"};
    lua_newtable(L);
    SET(L, "event_id", push_text(L, event->event_id));
    SET(L, "id", push_text(L, event->id));
    SET(L, "chain_id", push_text(L, event->chain_id));
    SET(L, "link", lua_pushinteger(L, event->link));
    SET(L, "sequence", lua_pushinteger(L, event->sequence));
    SET(L, "pbx", push_text(L, event->pbx));
    SET(L, "direction", push_word(L, directions, event->direction));
    SET(L, "caller_id", push_text(L, event->caller_id));
    SET(L, "caller_name", push_option(L, event->caller_name));
    SET(L, "user", push_party(L, event->user));
    if (event->did.is_some) {
        lua_newtable(L);
        SET(L, "number", push_text(L, event->did.val.number));
        SET(L, "name", push_option(L, event->did.val.name));
        lua_setfield(L, -2, "did");
    }
    SET(L, "queue", push_party_option(L, event->queue));
    SET(L, "arrived_at", push_time(L, event->arrived_at));
    SET(L, "occurred_at", push_time(L, event->occurred_at));
    SET(L, "resynced", lua_pushboolean(L, event->resynced));
    SET(L, "kind", push_kind(L, &event->kind));
    SET(L, "extra", push_fields(L, event->extra));
}

static void push_request(lua_State *L, callhook_http_request_t *request) {
    lua_newtable(L);
    SET(L, "method", push_text(L, request->method));
    SET(L, "url", push_text(L, request->url));
    lua_newtable(L);
    for (size_t i = 0; i < request->headers.len; i++) {
        lua_newtable(L);
        SET(L, "name", push_text(L, request->headers.ptr[i].name));
        SET(L, "value", push_text(L, request->headers.ptr[i].value));
        lua_seti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "headers");
    SET(L, "body", push_bytes(L, request->body));
    SET(L, "tag", push_option(L, request->tag));
    SET(L, "state", push_bytes(L, request->state));
    SET(L, "delay_ms", lua_pushinteger(L, request->delay_ms));
    SET(L, "extra", push_fields(L, request->extra));
}

// === From Lua to the bindings ===

static void *memory(size_t size) {
    void *own = malloc(size);
    if (own == NULL && size > 0) abort();
    return own;
}

// A copy of the text on top of the stack, which is popped. `name` is for the error.
static callhook_string_t pop_text(lua_State *L, const char *name) {
    callhook_string_t text;
    size_t len;
    if (!lua_isstring(L, -1)) luaL_error(L, "`%s` has to be a string, not %s", name, luaL_typename(L, -1));
    const char *bytes = lua_tolstring(L, -1, &len);
    callhook_string_dup_n(&text, bytes, len);
    lua_pop(L, 1);
    return text;
}

static callhook_string_t text_of(lua_State *L, const char *name) {
    lua_getfield(L, -1, name);
    return pop_text(L, name);
}

static callhook_option_string_t option_of(lua_State *L, const char *name) {
    callhook_option_string_t option = {false, {NULL, 0}};
    if (lua_getfield(L, -1, name) == LUA_TNIL) {
        lua_pop(L, 1);
    } else {
        option.is_some = true;
        option.val = pop_text(L, name);
    }
    return option;
}

static callhook_list_u8_t bytes_of(lua_State *L, const char *name) {
    callhook_option_string_t text = option_of(L, name);
    return (callhook_list_u8_t){text.val.ptr, text.val.len};
}

static bool flag_of(lua_State *L, const char *name) {
    lua_getfield(L, -1, name);
    bool flag = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

// The length of the list in the field `name`, which is pushed; without the field an empty one.
static size_t push_list(lua_State *L, const char *name) {
    if (lua_getfield(L, -1, name) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
    }
    if (!lua_istable(L, -1)) luaL_error(L, "`%s` has to be a list, not %s", name, luaL_typename(L, -1));
    return lua_rawlen(L, -1);
}

static void push_item(lua_State *L, size_t place, const char *name) {
    if (lua_geti(L, -1, (lua_Integer)place + 1) != LUA_TTABLE)
        luaL_error(L, "`%s` has to be a list of tables", name);
}

static callhook_http_request_t request_of(lua_State *L) {
    callhook_http_request_t request = {0};
    request.method = text_of(L, "method");
    request.url = text_of(L, "url");
    request.headers.len = push_list(L, "headers");
    request.headers.ptr = memory(request.headers.len * sizeof(callhook_header_t));
    for (size_t i = 0; i < request.headers.len; i++) {
        push_item(L, i, "headers");
        request.headers.ptr[i].name = text_of(L, "name");
        request.headers.ptr[i].value = text_of(L, "value");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    request.body = bytes_of(L, "body");
    request.tag = option_of(L, "tag");
    request.state = bytes_of(L, "state");
    lua_getfield(L, -1, "delay_ms");
    request.delay_ms = (uint32_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return request;
}

// === What the script finds as `callhook` ===

static callhook_string_t argument(lua_State *L, int place) {
    size_t len;
    const char *bytes = luaL_checklstring(L, place, &len);
    return (callhook_string_t){(uint8_t *)bytes, len};
}

// callhook.setting(name): the setting, or nil.
static int lua_setting(lua_State *L) {
    callhook_string_t name = argument(L, 1), value;
    if (settings_get(&name, &value)) push_text(L, value);
    else lua_pushnil(L);
    return 1;
}

// callhook.log(level, message)
static int lua_log(lua_State *L) {
    const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    callhook_string_t message = argument(L, 2);
    log_write((log_level_t)luaL_checkoption(L, 1, NULL, levels), &message);
    return 0;
}

static int person(lua_State *L, bool found, directory_person_t *person) {
    if (!found) {
        lua_pushnil(L);
        return 1;
    }
    lua_newtable(L);
    SET(L, "extension", push_text(L, person->extension));
    SET(L, "name", push_option(L, person->name));
    SET(L, "email", push_option(L, person->email));
    SET(L, "columns", push_fields(L, (callhook_list_field_t){person->columns.ptr, person->columns.len}));
    return 1;
}

// callhook.find(extension): that person, or nil.
static int lua_find(lua_State *L) {
    callhook_string_t extension = argument(L, 1);
    directory_person_t found;
    return person(L, directory_find(&extension, &found), &found);
}

// callhook.find_by(column, value): the first person, or nil.
static int lua_find_by(lua_State *L) {
    callhook_string_t column = argument(L, 1), value = argument(L, 2);
    directory_person_t found;
    return person(L, directory_find_by(&column, &value, &found), &found);
}

// callhook.get(key): what this chain of calls remembers, or nil.
static int lua_get(lua_State *L) {
    callhook_string_t key = argument(L, 1);
    callhook_list_u8_t value;
    if (memory_get(&key, &value)) push_bytes(L, value);
    else lua_pushnil(L);
    return 1;
}

// callhook.set(key, value)
static int lua_set(lua_State *L) {
    callhook_string_t key = argument(L, 1), value = argument(L, 2);
    callhook_list_u8_t bytes = {value.ptr, value.len};
    memory_set(&key, &bytes);
    return 0;
}

// callhook.remove(key)
static int lua_remove_key(lua_State *L) {
    callhook_string_t key = argument(L, 1);
    memory_remove(&key);
    return 0;
}

// === Calling the script ===

static const luaL_Reg libraries[] = {
    {LUA_GNAME, luaopen_base},        {LUA_TABLIBNAME, luaopen_table}, {LUA_STRLIBNAME, luaopen_string},
    {LUA_MATHLIBNAME, luaopen_math},  {LUA_UTF8LIBNAME, luaopen_utf8}, {LUA_COLIBNAME, luaopen_coroutine},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"setting", lua_setting}, {"log", lua_log}, {"find", lua_find},
    {"find_by", lua_find_by}, {"get", lua_get}, {"set", lua_set},
    {"remove", lua_remove_key}, {NULL, NULL},
};

// Runs the script; the table that it returns is then on top of the stack.
static void start(lua_State *L) {
    for (const luaL_Reg *library = libraries; library->func != NULL; library++) {
        luaL_requiref(L, library->name, library->func, 1);
        lua_pop(L, 1);
    }
    luaL_newlib(L, functions);
    lua_setglobal(L, "callhook");
    if (luaL_loadbuffer(L, script, sizeof script, "@plugin.lua") != LUA_OK) lua_error(L);
    lua_call(L, 0, 1);
    if (!lua_istable(L, -1)) luaL_error(L, "plugin.lua has to return a table of functions");
}

// Runs `work` with what it needs; false where it raised an error, which is then on the stack.
static bool run(lua_State *L, lua_CFunction work, void *needs) {
    lua_pushcfunction(L, work);
    lua_pushlightuserdata(L, needs);
    return lua_pcall(L, 1, 0, 0) == LUA_OK;
}

static lua_State *new_state(void) {
    lua_State *L = luaL_newstate();
    if (L == NULL) abort();
    return L;
}

// There is nobody to tell an error of `describe` and `check` to but standard error.
static void run_or_die(lua_CFunction work, void *needs) {
    lua_State *L = new_state();
    if (run(L, work, needs)) return;
    lua_writestringerror("%s\n", lua_tostring(L, -1));
    abort();
}

// === Exports ===

static int describe(lua_State *L) {
    exports_about_description_t *ret = lua_touserdata(L, 1);
    start(L);
    lua_getfield(L, -1, "describe");
    lua_call(L, 0, 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    ret->name = text_of(L, "name");
    ret->version = text_of(L, "version");
    ret->summary = text_of(L, "summary");
    ret->settings.len = push_list(L, "settings");
    ret->settings.ptr = memory(ret->settings.len * sizeof *ret->settings.ptr);
    for (size_t i = 0; i < ret->settings.len; i++) {
        push_item(L, i, "settings");
        exports_about_setting_t *setting = &ret->settings.ptr[i];
        setting->name = text_of(L, "name");
        setting->help = text_of(L, "help");
        setting->default_ = option_of(L, "default");
        setting->required = flag_of(L, "required");
        setting->secret = flag_of(L, "secret");
        lua_pop(L, 1);
    }
    return 0;
}

void exports_about_describe(exports_about_description_t *ret) {
    run_or_die(describe, ret);
}

static int check(lua_State *L) {
    exports_about_list_problem_t *ret = lua_touserdata(L, 1);
    start(L);
    lua_getfield(L, -1, "check");
    lua_call(L, 0, 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    ret->len = lua_rawlen(L, -1);
    ret->ptr = memory(ret->len * sizeof *ret->ptr);
    for (size_t i = 0; i < ret->len; i++) {
        push_item(L, i, "check");
        ret->ptr[i].setting = text_of(L, "setting");
        ret->ptr[i].message = text_of(L, "message");
        lua_pop(L, 1);
    }
    return 0;
}

void exports_about_check(exports_about_list_problem_t *ret) {
    run_or_die(check, ret);
}

typedef struct {
    callhook_call_event_t *event;
    callhook_http_request_t *draft;
    exports_transform_outcome_t *ret;
} transform_t;

static int transform(lua_State *L) {
    transform_t *call = lua_touserdata(L, 1);
    start(L);
    lua_getfield(L, -1, "transform");
    push_event(L, call->event);
    push_request(L, call->draft);
    lua_call(L, 2, 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    callhook_option_string_t reason = option_of(L, "skip");
    if (reason.is_some) {
        call->ret->tag = EXPORTS_TRANSFORM_OUTCOME_SKIP;
        call->ret->val.skip = reason.val;
        return 0;
    }
    size_t len = push_list(L, "send");
    callhook_http_request_t *requests = memory(len * sizeof *requests);
    for (size_t i = 0; i < len; i++) {
        push_item(L, i, "send");
        requests[i] = request_of(L);
        lua_pop(L, 1);
    }
    call->ret->tag = EXPORTS_TRANSFORM_OUTCOME_SEND;
    call->ret->val.send = (exports_transform_list_http_request_t){requests, len};
    return 0;
}

// An error of the script is a failure: `other` with its message, or, if it raised a table
// { bad_mapping = "why" } or { bad_settings = "why" }, that one.
static void failure(lua_State *L, callhook_failure_t *err) {
    err->tag = CALLHOOK_FAILURE_OTHER;
    if (lua_istable(L, -1)) {
        callhook_option_string_t mapping = option_of(L, "bad_mapping");
        callhook_option_string_t settings = option_of(L, "bad_settings");
        if (mapping.is_some || settings.is_some) {
            err->tag = mapping.is_some ? CALLHOOK_FAILURE_BAD_MAPPING : CALLHOOK_FAILURE_BAD_SETTINGS;
            err->val.other = mapping.is_some ? mapping.val : settings.val;
            return;
        }
    }
    const char *message = lua_tostring(L, -1);
    callhook_string_dup(&err->val.other, message != NULL ? message : "an error without a message");
}

bool exports_transform_transform(callhook_call_event_t *event, callhook_http_request_t *draft,
                                 exports_transform_outcome_t *ret, callhook_failure_t *err) {
    lua_State *L = new_state();
    transform_t call = {event, draft, ret};
    if (run(L, transform, &call)) return true;
    failure(L, err);
    return false;
}
