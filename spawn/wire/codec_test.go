package wire

import (
	"bytes"
	"embed"
	"fmt"
	"go/parser"
	"go/token"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fill sets every field of a value to something that no other field has.
func fill(t testing.TB, v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d \x00\xff", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(-*n) << 31)
	case reflect.Uint32:
		v.SetUint(uint64(*n) << 20)
	case reflect.Uint64:
		v.SetUint(uint64(*n) << 50)
	case reflect.Uint8:
		v.SetUint(uint64(*n % 251))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(t, v.Index(i), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	default:
		t.Fatalf("a %s in the Spec: teach the test and the encoding", v.Type())
	}
}

func full(t testing.TB) *Spec {
	s := new(Spec)
	n := 0
	fill(t, reflect.ValueOf(s).Elem(), &n)
	return s
}

func TestWrappedSpecIsFound(t *testing.T) {
	spec, list := Encode(full(t)), bytes.Repeat([]byte("list"), 3000)
	wrapped := slices.Concat(Wrap(spec, list)...)
	if len(wrapped) != wrappedSize+len(spec)+len(list) || !bytes.HasSuffix(wrapped, list) {
		t.Fatalf("%d bytes", len(wrapped))
	}
	got, err := Decode(wrapped)
	if err != nil || !reflect.DeepEqual(got, full(t)) {
		t.Errorf("%v, %+v", err, got)
	}
	if !bytes.Equal(slices.Concat(Wrap(spec, nil)...), spec) {
		t.Error("without a list it is more than the Spec")
	}
	for n := range wrappedSize + len(spec) {
		if _, err := Decode(wrapped[:n]); err == nil {
			t.Errorf("the first %d bytes are a Spec", n)
		}
	}
}

func TestEveryFieldSurvives(t *testing.T) {
	for name, want := range map[string]*Spec{"full": full(t), "zero": {}} {
		got, err := Decode(Encode(want))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%+v, want\n%+v", name, got, want)
		}
	}
}

// A field that is alone set would be seen if the encoding mixed up two of a
// type.
func TestEveryFieldSurvivesAlone(t *testing.T) {
	fields := reflect.TypeFor[Spec]().NumField()
	for i := range fields {
		want := new(Spec)
		n := 0
		fill(t, reflect.ValueOf(want).Elem().Field(i), &n)
		if got, err := Decode(Encode(want)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, got %+v", reflect.TypeFor[Spec]().Field(i).Name, err, got)
		}
	}
}

// A lithos_knot of an earlier release reads a Spec that asks for nothing newer.
func TestNewerVersionOnlyForNewerFields(t *testing.T) {
	s := full(t)
	newer := Encode(s)
	s.StopSignal = 0
	older := Encode(s)
	if older[3] != 3 || newer[3] != 4 || !bytes.HasPrefix(newer[4:], older[4:]) {
		t.Errorf("versions %d and %d", older[3], newer[3])
	}
	if got, err := Decode(older); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%v, %+v", err, got)
	}
	// There is one way to encode it.
	newer = append(bytes.Clone(older), 0, 0, 0, 0)
	newer[3] = 4
	if _, err := Decode(newer); err != ErrCorrupt {
		t.Errorf("the newer version of nothing newer: %v", err)
	}
}

func TestDecode_Errors(t *testing.T) {
	data := Encode(full(t))
	for n := range len(data) {
		if s, err := Decode(data[:n]); err == nil {
			t.Fatalf("%d of %d bytes decode to %+v", n, len(data), s)
		}
	}
	if _, err := Decode(append(bytes.Clone(data), 0)); err != ErrCorrupt {
		t.Errorf("with a byte more: %v", err)
	}
	other := bytes.Clone(data)
	other[3]++
	if _, err := Decode(other); err != ErrVersion || !strings.Contains(err.Error(), "another version") {
		t.Errorf("another version: %v", err)
	}
	if _, err := Decode(nil); err != ErrCorrupt {
		t.Errorf("nothing: %v", err)
	}
	// A bool of 2: Hosts.Localhost follows five strings and a Mount.
	one := Encode(&Spec{Hosts: Hosts{Localhost: true}})
	at := bytes.IndexByte(one[4:], 1) + 4
	one[at] = 2
	if _, err := Decode(one); err != ErrCorrupt {
		t.Errorf("a bool of 2: %v", err)
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// decodeBudget is what decoding n bytes may allocate: a Volume of 41 bytes and
// more is 112 in memory, an empty string of 4 is 16, and a growing slice is
// copied.
func decodeBudget(n int) uint64 { return uint64(n)*32 + 64<<10 }

func TestDecode_LengthsAreNotBelieved(t *testing.T) {
	head := Encode(&Spec{})[:4]
	for _, huge := range [][]byte{
		append(bytes.Clone(head), 0xff, 0xff, 0xff, 0xff),
		// Every length is 4 GiB.
		append(bytes.Clone(head), bytes.Repeat([]byte{0xff}, 1<<16)...),
		// Lists of as many empty strings as there is input.
		append(bytes.Clone(head), make([]byte, 1<<16)...),
	} {
		if n := allocated(func() { _, _ = Decode(huge) }); n > decodeBudget(len(huge)) {
			t.Errorf("%d bytes of input took %d bytes of memory", len(huge), n)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode(full(f)))
	f.Add(Encode(&Spec{}))
	f.Add(slices.Concat(Wrap(Encode(full(f)), []byte("list"))...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var s *Spec
		var err error
		n := allocated(func() { s, err = Decode(data) })
		if n > decodeBudget(len(data)) {
			t.Errorf("%d bytes of input took %d bytes of memory", len(data), n)
		}
		if err == nil && !bytes.Equal(Encode(s), unwrap(data)) {
			t.Errorf("%x decodes to %+v, which encodes to %x", data, s, Encode(s))
		}
	})
}

//go:embed *.go
var source embed.FS

// PID 1 links this package, so it stays small, as do its imports.
func TestImportsNextToNothing(t *testing.T) {
	small := []string{"math", "strconv", "time", "unicode/utf8"}
	files, err := source.ReadDir(".")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		text, err := source.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), text, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range parsed.Imports {
			if path, err := strconv.Unquote(i.Path.Value); err != nil || !slices.Contains(small, path) {
				t.Errorf("%s imports %s", file.Name(), i.Path.Value)
			}
		}
	}
}

func TestSpecIsSmall(t *testing.T) {
	s := &Spec{Name: "web/app.0", Image: "/images/app", Argv: []string{"/bin/app"}, KillTimeout: time.Second}
	if n := len(Encode(s)); n > 300 {
		t.Errorf("a small Spec takes %d bytes", n)
	}
}
