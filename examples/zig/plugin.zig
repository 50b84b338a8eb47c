//! An example plugin: every event of a call becomes a JSON POST, with the caller's number in the
//! form that this CRM wants. Calls of internal numbers are skipped.
//!
//! `callhook` is made of the contract, by way of C, by build.sh. Every call of the plugin happens
//! in a fresh instance, so nothing is freed here; and what is handed back is freed by the bindings,
//! so it comes from C's allocator.

const std = @import("std");
const callhook = @import("callhook");

/// A panic ends the call. To tell why, Zig would ask for system calls.
pub const panic = std.debug.no_panic;

const allocator = std.heap.c_allocator;
const String = callhook.callhook_string_t;

/// What the CRM gets, in this order.
const Body = struct {
    call: []const u8,
    event: []const u8,
    direction: []const u8,
    /// `null` if withheld.
    number: ?[]const u8,
    name: ?[]const u8,
    extension: []const u8,
    answered: bool,
    at: []const u8,
};

// === About ===

export fn exports_about_describe(ret: *callhook.exports_about_description_t) void {
    ret.* = describe() catch @panic("out of memory");
}

fn describe() !callhook.exports_about_description_t {
    const settings = try allocator.alloc(callhook.exports_about_setting_t, 1);
    settings[0] = .{
        .name = try copy("source"),
        .help = try copy("what the CRM shows as the origin"),
        .default_ = .{ .is_some = true, .val = try copy("callhook") },
        .required = false,
        .secret = false,
    };
    return .{
        .name = try copy("example-zig"),
        .version = try copy("0.1.0"),
        .summary = try copy("Sends every event as a JSON POST"),
        .settings = .{ .ptr = settings.ptr, .len = settings.len },
    };
}

export fn exports_about_check(ret: *callhook.exports_about_list_problem_t) void {
    ret.* = check() catch @panic("out of memory");
}

fn check() !callhook.exports_about_list_problem_t {
    const value = bytes(source());
    var message: ?[]const u8 = if (value.len == 0) "it must not be empty" else null;
    for (value) |byte| {
        if (byte < ' ' or byte > '~') message = "it must be plain ASCII, because it is sent as a header";
    }
    const text = message orelse return .{ .ptr = null, .len = 0 };
    const problems = try allocator.alloc(callhook.exports_about_problem_t, 1);
    problems[0] = .{ .setting = try copy("source"), .message = try copy(text) };
    return .{ .ptr = problems.ptr, .len = problems.len };
}

// === Transform ===

/// Returns true for an outcome, in `ret`, and false for a failure, in `err`.
export fn exports_transform_transform(
    event: *callhook.callhook_call_event_t,
    draft: *callhook.callhook_http_request_t,
    ret: *callhook.exports_transform_outcome_t,
    err: *callhook.callhook_failure_t,
) bool {
    ret.* = transform(event, draft) catch |problem| {
        err.tag = callhook.CALLHOOK_FAILURE_OTHER;
        err.val.other = copy(@errorName(problem)) catch @panic("out of memory");
        return false;
    };
    return true;
}

fn transform(
    event: *callhook.callhook_call_event_t,
    draft: *callhook.callhook_http_request_t,
) !callhook.exports_transform_outcome_t {
    const number = try digits(bytes(event.caller_id));
    const short = number.len >= 1 and number.len <= 5;
    if (event.direction == callhook.CALLHOOK_DIRECTION_INTERNAL or short)
        return skip("an internal number");

    const kind: []const u8, const answered: bool = switch (event.kind.tag) {
        callhook.CALLHOOK_EVENT_KIND_RINGING => .{ "ringing", false },
        callhook.CALLHOOK_EVENT_KIND_STARTED => .{ "answered", true },
        callhook.CALLHOOK_EVENT_KIND_ENDED => .{ "ended", event.kind.val.ended.talk_ms.is_some },
        else => return skip("not of interest"),
    };
    const body = Body{
        .call = bytes(event.id),
        .event = kind,
        .direction = ([_][]const u8{ "incoming", "outgoing", "internal", "unknown" })[event.direction],
        .number = if (number.len > 0) try std.mem.concat(allocator, u8, &.{ "+", number }) else null,
        .name = if (event.caller_name.is_some) bytes(event.caller_name.val) else null,
        .extension = bytes(event.user.number),
        .answered = answered,
        .at = bytes(event.occurred_at.text),
    };
    const text = try std.json.Stringify.valueAlloc(allocator, body, .{});

    const headers = try allocator.alloc(callhook.callhook_header_t, 2);
    headers[0] = .{ .name = try copy("content-type"), .value = try copy("application/json") };
    headers[1] = .{ .name = try copy("x-source"), .value = source() };
    const requests = try allocator.alloc(callhook.callhook_http_request_t, 1);
    requests[0] = draft.*;
    requests[0].method = try copy("POST");
    requests[0].headers = .{ .ptr = headers.ptr, .len = headers.len };
    requests[0].body = .{ .ptr = text.ptr, .len = text.len };
    return .{
        .tag = callhook.EXPORTS_TRANSFORM_OUTCOME_SEND,
        .val = .{ .send = .{ .ptr = requests.ptr, .len = requests.len } },
    };
}

fn skip(reason: []const u8) !callhook.exports_transform_outcome_t {
    return .{
        .tag = callhook.EXPORTS_TRANSFORM_OUTCOME_SKIP,
        .val = .{ .skip = try copy(reason) },
    };
}

/// The digits of a number, without the `00` of an international call.
fn digits(number: []const u8) ![]const u8 {
    const found = try allocator.alloc(u8, number.len);
    var len: usize = 0;
    for (number) |byte| {
        if (std.ascii.isDigit(byte)) {
            found[len] = byte;
            len += 1;
        }
    }
    const all = found[0..len];
    return if (std.mem.startsWith(u8, all, "00")) all[2..] else all;
}

// === Text ===

fn source() String {
    var name: String = undefined;
    callhook.callhook_string_set(&name, "source");
    var value: String = .{ .ptr = null, .len = 0 };
    _ = callhook.settings_get(&name, &value);
    return value;
}

fn bytes(text: String) []const u8 {
    return if (text.len == 0) "" else text.ptr[0..text.len];
}

fn copy(text: []const u8) !String {
    const own = try allocator.dupe(u8, text);
    return .{ .ptr = own.ptr, .len = own.len };
}
