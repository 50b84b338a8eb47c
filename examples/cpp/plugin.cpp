// An example plugin: every event of a call becomes a JSON POST, with the caller's number in the
// form that this CRM wants. Calls of internal numbers are skipped.
//
// callhook.h is made of the contract, for C, by build.sh. Two rules of memory are all there is:
// every call of the plugin happens in a fresh instance, so nothing has to be freed here; and what
// is handed back is freed by the bindings, so it must come from malloc (see `copy` and `list`).

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "callhook.h"

// libc++ would print why it gives up, and ask the host for files to do so.
void std::__libcpp_verbose_abort(const char *, ...) noexcept { std::abort(); }

namespace {

// === Between C++ and the bindings ===

std::string_view view(const callhook_string_t &text) {
    return {reinterpret_cast<const char *>(text.ptr), text.len};
}

callhook_string_t copy(std::string_view text) {
    callhook_string_t own;
    callhook_string_dup_n(&own, text.data(), text.size());
    return own;
}

// A list of the bindings, such as callhook_list_header_t, with these items.
template <typename List, typename Item> List list(std::initializer_list<Item> items) {
    auto own = static_cast<Item *>(std::malloc(items.size() * sizeof(Item)));
    if (own == nullptr) std::abort();
    std::uninitialized_copy(items.begin(), items.end(), own);
    return {own, items.size()};
}

std::string source() {
    callhook_string_t name, value;
    callhook_string_set(&name, "source");
    return settings_get(&name, &value) ? std::string(view(value)) : std::string();
}

// === JSON ===

// Quotes, backslashes and control characters escaped, all else as it is.
std::string quoted(std::string_view text) {
    std::string json = "\"";
    for (char sign : text) {
        auto byte = static_cast<unsigned char>(sign);
        switch (sign) {
        case '"': json += "\\\""; break;
        case '\\': json += "\\\\"; break;
        case '\b': json += "\\b"; break;
        case '\f': json += "\\f"; break;
        case '\n': json += "\\n"; break;
        case '\r': json += "\\r"; break;
        case '\t': json += "\\t"; break;
        default:
            if (byte < 0x20) {
                json += "\\u00";
                json += "0123456789abcdef"[byte >> 4];
                json += "0123456789abcdef"[byte & 15];
            } else {
                json += sign;
            }
        }
    }
    return json + "\"";
}

// === The mapping ===

// The digits of a number, without the `00` of an international call.
std::string digits(std::string_view number) {
    std::string digits;
    for (char sign : number) {
        if (sign >= '0' && sign <= '9') digits += sign;
    }
    return digits.starts_with("00") ? digits.substr(2) : digits;
}

std::string_view direction(callhook_direction_t direction) {
    switch (direction) {
    case CALLHOOK_DIRECTION_INCOMING: return "incoming";
    case CALLHOOK_DIRECTION_OUTGOING: return "outgoing";
    case CALLHOOK_DIRECTION_INTERNAL: return "internal";
    default: return "unknown";
    }
}

exports_transform_outcome_t skip(std::string_view reason) {
    exports_transform_outcome_t outcome;
    outcome.tag = EXPORTS_TRANSFORM_OUTCOME_SKIP;
    outcome.val.skip = copy(reason);
    return outcome;
}

exports_transform_outcome_t transform(const callhook_call_event_t &event,
                                      const callhook_http_request_t &draft) {
    auto number = digits(view(event.caller_id));
    bool is_short = number.size() >= 1 && number.size() <= 5;
    if (event.direction == CALLHOOK_DIRECTION_INTERNAL || is_short)
        return skip("an internal number");

    std::string_view kind;
    bool answered = false;
    switch (event.kind.tag) {
    case CALLHOOK_EVENT_KIND_RINGING:
        kind = "ringing";
        break;
    case CALLHOOK_EVENT_KIND_STARTED:
        kind = "answered";
        answered = true;
        break;
    case CALLHOOK_EVENT_KIND_ENDED:
        kind = "ended";
        answered = event.kind.val.ended.talk_ms.is_some;
        break;
    default:
        return skip("not of interest");
    }

    std::string body = "{\"call\":" + quoted(view(event.id));
    body += ",\"event\":" + quoted(kind);
    body += ",\"direction\":" + quoted(direction(event.direction));
    body += ",\"number\":" + (number.empty() ? "null" : quoted("+" + number)); // withheld
    auto &name = event.caller_name;
    body += ",\"name\":" + (name.is_some ? quoted(view(name.val)) : "null");
    body += ",\"extension\":" + quoted(view(event.user.number));
    body += std::string(",\"answered\":") + (answered ? "true" : "false");
    body += ",\"at\":" + quoted(view(event.occurred_at.text)) + "}";
    auto bytes = copy(body);

    callhook_http_request_t request = draft;
    request.method = copy("POST");
    request.headers = list<callhook_list_header_t, callhook_header_t>({
        {copy("content-type"), copy("application/json")},
        {copy("x-source"), copy(source())},
    });
    request.body = {bytes.ptr, bytes.len};

    exports_transform_outcome_t outcome;
    outcome.tag = EXPORTS_TRANSFORM_OUTCOME_SEND;
    outcome.val.send = list<exports_transform_list_http_request_t, callhook_http_request_t>({request});
    return outcome;
}

} // namespace

// === What the plugin exports; the names are those of callhook.h ===

void exports_about_describe(exports_about_description_t *ret) {
    exports_about_setting_t setting = {
        .name = copy("source"),
        .help = copy("what the CRM shows as the origin"),
        .default_ = {.is_some = true, .val = copy("callhook")},
        .required = false,
        .secret = false,
    };
    *ret = {
        .name = copy("example-cpp"),
        .version = copy("0.1.0"),
        .summary = copy("Sends every event as a JSON POST"),
        .settings = list<exports_about_list_setting_t, exports_about_setting_t>({setting}),
    };
}

void exports_about_check(exports_about_list_problem_t *ret) {
    auto value = source();
    auto ascii = [](char sign) { return sign >= ' ' && sign <= '~'; };
    std::string_view message;
    if (value.empty()) {
        message = "it must not be empty";
    } else if (!std::all_of(value.begin(), value.end(), ascii)) {
        message = "it must be plain ASCII, because it is sent as a header";
    } else {
        *ret = {nullptr, 0};
        return;
    }
    *ret = list<exports_about_list_problem_t, exports_about_problem_t>(
        {{copy("source"), copy(message)}});
}

// Returns true for an outcome, in `ret`, and false for a failure, in `err`.
bool exports_transform_transform(callhook_call_event_t *event, callhook_http_request_t *draft,
                                 exports_transform_outcome_t *ret, callhook_failure_t *) {
    *ret = transform(*event, *draft);
    return true;
}
