// An example plugin: every event of a call becomes a JSON POST, with the caller's number in the
// form that this CRM wants. Calls of internal numbers are skipped.
//
// callhook.h is made of the contract by build.sh. Two rules of memory are all there is:
// every call of the plugin happens in a fresh instance, so nothing has to be freed here; and what
// is handed back is freed by the bindings, so it must come from malloc (callhook_string_dup).

#include <stdlib.h>
#include <string.h>

#include "callhook.h"

// === Text ===

// A text that grows. A callhook_string_t is bytes with a length, without a final zero.
typedef struct {
    callhook_string_t text;
    size_t room;
} buffer_t;

static void add(buffer_t *buffer, const void *bytes, size_t len) {
    if (len > buffer->room - buffer->text.len) {
        buffer->room = 2 * buffer->room + len;
        buffer->text.ptr = realloc(buffer->text.ptr, buffer->room);
        if (buffer->text.ptr == NULL) abort();
    }
    if (len > 0) memcpy(buffer->text.ptr + buffer->text.len, bytes, len);
    buffer->text.len += len;
}

static void literal(buffer_t *buffer, const char *text) {
    add(buffer, text, strlen(text));
}

// As JSON wants it: quotes, backslashes and control characters escaped, all else as it is.
static void quoted(buffer_t *buffer, callhook_string_t text) {
    literal(buffer, "\"");
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = text.ptr[i];
        const char *escapes = "btn\0fr"; // of the characters 8 to 13, but 11
        if (byte == '"' || byte == '\\') {
            add(buffer, (char[]){'\\', byte}, 2);
        } else if (byte >= 8 && byte <= 13 && byte != 11) {
            add(buffer, (char[]){'\\', escapes[byte - 8]}, 2);
        } else if (byte < 0x20) {
            literal(buffer, "\\u00");
            add(buffer, (char[]){'0' + (byte >> 4), "0123456789abcdef"[byte & 15]}, 2);
        } else {
            add(buffer, &byte, 1);
        }
    }
    literal(buffer, "\"");
}

static callhook_string_t copy(const char *text) {
    callhook_string_t string;
    callhook_string_dup(&string, text);
    return string;
}

// === About ===

static callhook_string_t source(void) {
    callhook_string_t name, value = {NULL, 0};
    callhook_string_set(&name, "source");
    settings_get(&name, &value); // returns false where there is none
    return value;
}

void exports_about_describe(exports_about_description_t *ret) {
    exports_about_setting_t *setting = malloc(sizeof *setting);
    if (setting == NULL) abort();
    *setting = (exports_about_setting_t){
        .name = copy("source"),
        .help = copy("what the CRM shows as the origin"),
        .default_ = {.is_some = true, .val = copy("callhook")},
        .required = false,
        .secret = false,
    };
    *ret = (exports_about_description_t){
        .name = copy("example-c"),
        .version = copy("0.1.0"),
        .summary = copy("Sends every event as a JSON POST"),
        .settings = {setting, 1},
    };
}

void exports_about_check(exports_about_list_problem_t *ret) {
    callhook_string_t value = source();
    const char *message = value.len == 0 ? "it must not be empty" : NULL;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < ' ' || value.ptr[i] > '~')
            message = "it must be plain ASCII, because it is sent as a header";
    }
    *ret = (exports_about_list_problem_t){NULL, 0};
    if (message != NULL) {
        ret->ptr = malloc(sizeof *ret->ptr);
        if (ret->ptr == NULL) abort();
        ret->ptr[0] = (exports_about_problem_t){copy("source"), copy(message)};
        ret->len = 1;
    }
}

// === Transform ===

// The digits of a number, without the `00` of an international call.
static callhook_string_t digits(callhook_string_t number) {
    buffer_t digits = {0};
    for (size_t i = 0; i < number.len; i++) {
        if (number.ptr[i] >= '0' && number.ptr[i] <= '9') add(&digits, &number.ptr[i], 1);
    }
    if (digits.text.len >= 2 && memcmp(digits.text.ptr, "00", 2) == 0) {
        digits.text.ptr += 2;
        digits.text.len -= 2;
    }
    return digits.text;
}

static bool skip(exports_transform_outcome_t *ret, const char *reason) {
    ret->tag = EXPORTS_TRANSFORM_OUTCOME_SKIP;
    ret->val.skip = copy(reason);
    return true;
}

// Returns true for an outcome, in `ret`, and false for a failure, in `err`.
bool exports_transform_transform(callhook_call_event_t *event, callhook_http_request_t *draft,
                                 exports_transform_outcome_t *ret, callhook_failure_t *err) {
    (void)err;
    callhook_string_t number = digits(event->caller_id);
    if (event->direction == CALLHOOK_DIRECTION_INTERNAL || (number.len >= 1 && number.len <= 5))
        return skip(ret, "an internal number");

    const char *kind;
    bool answered = false;
    switch (event->kind.tag) {
    case CALLHOOK_EVENT_KIND_RINGING:
        kind = "ringing";
        break;
    case CALLHOOK_EVENT_KIND_STARTED:
        kind = "answered";
        answered = true;
        break;
    case CALLHOOK_EVENT_KIND_ENDED:
        kind = "ended";
        answered = event->kind.val.ended.talk_ms.is_some;
        break;
    default:
        return skip(ret, "not of interest");
    }
    const char *directions[] = {"incoming", "outgoing", "internal", "unknown"};

    buffer_t body = {0};
    literal(&body, "{\"call\":");
    quoted(&body, event->id);
    literal(&body, ",\"event\":\"");
    literal(&body, kind);
    literal(&body, "\",\"direction\":\"");
    literal(&body, directions[event->direction]);
    literal(&body, "\",\"number\":");
    if (number.len > 0) {
        literal(&body, "\"+");
        add(&body, number.ptr, number.len);
        literal(&body, "\"");
    } else { // withheld
        literal(&body, "null");
    }
    literal(&body, ",\"name\":");
    if (event->caller_name.is_some) {
        quoted(&body, event->caller_name.val);
    } else {
        literal(&body, "null");
    }
    literal(&body, ",\"extension\":");
    quoted(&body, event->user.number);
    literal(&body, answered ? ",\"answered\":true" : ",\"answered\":false");
    literal(&body, ",\"at\":");
    quoted(&body, event->occurred_at.text);
    literal(&body, "}");

    callhook_header_t *headers = malloc(2 * sizeof *headers);
    callhook_http_request_t *request = malloc(sizeof *request);
    if (headers == NULL || request == NULL) abort();
    headers[0] = (callhook_header_t){copy("content-type"), copy("application/json")};
    headers[1] = (callhook_header_t){copy("x-source"), source()};
    *request = *draft;
    request->method = copy("POST");
    request->headers = (callhook_list_header_t){headers, 2};
    request->body = (callhook_list_u8_t){body.text.ptr, body.text.len};

    ret->tag = EXPORTS_TRANSFORM_OUTCOME_SEND;
    ret->val.send = (exports_transform_list_http_request_t){request, 1};
    return true;
}
