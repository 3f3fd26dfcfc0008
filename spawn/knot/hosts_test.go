package knot

import (
	"net/netip"
	"strings"
	"testing"
)

// Covers: I7
func TestLookupHosts(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"I7 plain", "10.0.0.1 web1\n", "10.0.0.1"},
		{"I7 alias", "10.0.0.1\tweb1.example web1 # web1 x\n", "10.0.0.1"},
		{"I7 case", "10.0.0.1 WEB1\n", "10.0.0.1"},
		{"I7 first one", "10.0.0.1 web1\n10.0.0.2 web1\n", "10.0.0.1"},
		{"I7 IPv4 only", "::1 web1\nfe80::1 web1\n10.0.0.2 web1\n", "10.0.0.2"},
		{"I7 whole names", "10.0.0.1 web11 aweb1 web1.example\n", ""},
		{"I7 comment", "#10.0.0.1 web1\n10.0.0.1 # web1\n", ""},
		{"I7 no newline at the end", "10.0.0.1 web1", "10.0.0.1"},
		{"I7 CRLF", "10.0.0.1 web1\r\n", "10.0.0.1"},
		{"I7 leading blanks", "  10.0.0.1 web1\n", "10.0.0.1"},
		{"I7 empty", "", ""},
		{"I7 address alone", "10.0.0.1\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := lookupHosts([]byte(tt.file), "web1"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Covers: I7
func TestAddressOfANameThatHostsLacks(t *testing.T) {
	got := publicAddress("no-such-name.invalid")
	if a, err := netip.ParseAddr(got); err != nil || !a.Is4() || a.IsUnspecified() {
		t.Errorf("got %q, want an IPv4 address of this host", got)
	}
}

func FuzzLookupHosts(f *testing.F) {
	f.Add("127.0.0.1 localhost\n10.0.0.1\tweb1 # x\n::1 web1\n", "web1")
	f.Fuzz(func(t *testing.T, file, name string) {
		got := lookupHosts([]byte(file), name)
		if got == "" {
			return
		}
		if a, err := netip.ParseAddr(got); err != nil || !a.Is4() {
			t.Errorf("%q is no IPv4 address", got)
		}
		if !strings.Contains(file, got) || !strings.Contains(strings.ToLower(file), strings.ToLower(name)) {
			t.Errorf("%q and %q are not both in the file", got, name)
		}
	})
}

func FuzzIsIPv4(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "1.2.3", "1.2.3.4.", ".1.2.3", "256.1.1.1", "01.2.3.4", "0.0.0.0", "", "1..2.3", "1.2.3.4.5", "+1.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := netip.ParseAddr(s)
		if want := err == nil && a.Is4(); isIPv4([]byte(s)) != want {
			t.Errorf("isIPv4(%q) is %v", s, !want)
		}
	})
}
