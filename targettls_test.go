package jadwal

import (
	"maps"
	"testing"
)

func TestSecretValuesOfATarget(t *testing.T) {
	full := Target{Headers: map[string]string{"Authorization": "Bearer a", "X-Kind": "b"}, TLS: TargetTLS{ClientCert: "c", ClientKey: "k"}}
	values := full.SecretValues()
	if want := map[string]string{"Authorization": "Bearer a", ClientKeyField: "k"}; !maps.Equal(values, want) {
		t.Errorf("got %v", values)
	}
	shown := full.Shown()
	if len(shown.SecretValues()) != 0 || shown.Headers["X-Kind"] != "b" || shown.TLS.ClientCert != "c" {
		t.Errorf("shown is %+v", shown)
	}
	shown.SetSecretValues(values)
	if !maps.Equal(shown.Headers, full.Headers) || shown.TLS != full.TLS {
		t.Errorf("with its values again: %+v", shown)
	}
	copied := full
	copied.SetSecretValues(map[string]string{"Authorization": "", ClientKeyField: ""})
	if full.Headers["Authorization"] != "Bearer a" || copied.Headers["Authorization"] != "" || copied.TLS.ClientKey != "" {
		t.Errorf("the other one has changed: %+v, %+v", full, copied)
	}
}
