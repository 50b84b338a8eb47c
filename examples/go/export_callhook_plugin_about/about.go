// Package export_callhook_plugin_about says who the plugin is, and checks its settings.
//
// The bindings prescribe the name of this package.
package export_callhook_plugin_about

import (
	"strings"

	"go.bytecodealliance.org/pkg/wit/types"
	about "wit_component/callhook_plugin_about"
	settings "wit_component/callhook_plugin_settings"
)

func Describe() about.Description {
	return about.Description{
		Name:    "example-go",
		Version: "0.1.0",
		Summary: "Sends every event as a JSON POST",
		Settings: []about.Setting{{
			Name:    "source",
			Help:    "what the CRM shows as the origin",
			Default: wit_types.Some("callhook"),
		}},
	}
}

func Check() []about.Problem {
	source := settings.Get("source").SomeOr("")
	if source == "" {
		return []about.Problem{{Setting: "source", Message: "it must not be empty"}}
	}
	foreign := func(sign rune) bool { return sign < ' ' || sign > '~' }
	if strings.ContainsFunc(source, foreign) {
		message := "it must be plain ASCII, because it is sent as a header"
		return []about.Problem{{Setting: "source", Message: message}}
	}
	return nil
}
