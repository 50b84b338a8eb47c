// Package export_callhook_plugin_transform is the plugin's heart: every event of a call becomes a
// JSON POST, with the caller's number in the form that this CRM wants. Calls of internal numbers
// are skipped.
//
// The bindings prescribe the name of this package.
package export_callhook_plugin_transform

import (
	"encoding/json/v2"
	"strings"

	"go.bytecodealliance.org/pkg/wit/types"
	settings "wit_component/callhook_plugin_settings"
	transform "wit_component/callhook_plugin_transform"
	types "wit_component/callhook_plugin_types"
)

// What the CRM gets, in this order.
type body struct {
	Call      string  `json:"call"`
	Event     string  `json:"event"`
	Direction string  `json:"direction"`
	Number    *string `json:"number"` // null if withheld
	Name      *string `json:"name"`
	Extension string  `json:"extension"`
	Answered  bool    `json:"answered"`
	At        string  `json:"at"`
}

var directions = map[types.Direction]string{
	types.Direction_Incoming: "incoming",
	types.Direction_Outgoing: "outgoing",
	types.Direction_Internal: "internal",
	types.Direction_Unknown:  "unknown",
}

type result = wit_types.Result[transform.Outcome, types.Failure]

func Transform(event types.CallEvent, draft types.HttpRequest) result {
	number := digits(event.CallerId)
	short := len(number) >= 1 && len(number) <= 5
	if event.Direction == types.Direction_Internal || short {
		return skip("an internal number")
	}
	body := body{
		Call:      event.Id,
		Direction: directions[event.Direction],
		Extension: event.User.Number,
		At:        event.OccurredAt.Text,
	}
	switch event.Kind.Tag() {
	case types.EventKind_Ringing:
		body.Event = "ringing"
	case types.EventKind_Started:
		body.Event, body.Answered = "answered", true
	case types.EventKind_Ended:
		body.Event, body.Answered = "ended", event.Kind.Ended().TalkMs.IsSome()
	default:
		return skip("not of interest")
	}
	if number != "" {
		number = "+" + number
		body.Number = &number
	}
	if event.CallerName.IsSome() {
		name := event.CallerName.Some()
		body.Name = &name
	}
	text, err := json.Marshal(body)
	if err != nil {
		return wit_types.Err[transform.Outcome](types.MakeFailureBadMapping(err.Error()))
	}

	request := draft
	request.Method = "POST"
	request.Headers = []types.Header{
		{Name: "content-type", Value: "application/json"},
		{Name: "x-source", Value: settings.Get("source").SomeOr("")},
	}
	request.Body = text
	return wit_types.Ok[transform.Outcome, types.Failure](
		transform.MakeOutcomeSend([]types.HttpRequest{request}))
}

func skip(reason string) result {
	return wit_types.Ok[transform.Outcome, types.Failure](transform.MakeOutcomeSkip(reason))
}

// The digits of a number, without the `00` of an international call.
func digits(number string) string {
	digit := func(sign rune) rune {
		if sign < '0' || sign > '9' {
			return -1
		}
		return sign
	}
	return strings.TrimPrefix(strings.Map(digit, number), "00")
}
