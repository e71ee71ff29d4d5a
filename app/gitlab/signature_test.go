package gitlab

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// signed is what GitLab sends with text at a moment from a webhook with the secret and this key.
func signed(kind string, key []byte, at int64, text []byte) http.Header {
	h := gitlabHeader(kind, secret)
	id := h.Get("Idempotency-Key")
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(at, 10))
	h.Set("webhook-signature", signature(key, fmt.Sprintf("%s.%d.%s", id, at, text)))
	return h
}

func signature(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// The example of Standard Webhooks.
func TestSignatureVector(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	text := [][]byte{[]byte("msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330."), []byte(`{"test": 2432232314}`)}
	if !verifies(key, want, text...) || !verifies(key, "v1,AAAA v2,x "+want, text...) {
		t.Error("the example does not verify")
	}
	for _, bad := range []string{"", "v1,", "v1,AAAA", want[3:], "v2" + want[2:], "v1a" + want[2:], strings.ToUpper(want), want + "=", want[:len(want)-1]} {
		if verifies(key, bad, text...) {
			t.Errorf("%q verifies", bad)
		}
	}
}

func TestSignatures(t *testing.T) {
	text := readFile(t, "testdata/push.branch.json")
	const good = "4711:acme/site refs/heads/main ccccccc 3 files"
	for name, tc := range map[string]struct {
		change func(http.Header)
		want   string
	}{
		"as sent":             {func(http.Header) {}, good},
		"without the token":   {func(h http.Header) { h.Del("X-Gitlab-Token") }, good},
		"with another token":  {func(h http.Header) { h.Set("X-Gitlab-Token", "x") }, good},
		"no signature":        {func(h http.Header) { h.Del("webhook-signature") }, "refused"},
		"token alone":         {func(h http.Header) { h.Del("webhook-signature"); h.Del("webhook-id"); h.Del("webhook-timestamp") }, "refused"},
		"empty signature":     {func(h http.Header) { h.Set("webhook-signature", "") }, "refused"},
		"no id":               {func(h http.Header) { h.Del("webhook-id") }, "refused"},
		"another id":          {func(h http.Header) { h.Set("webhook-id", "1") }, "refused"},
		"no time":             {func(h http.Header) { h.Del("webhook-timestamp") }, "refused"},
		"another time":        {func(h http.Header) { h.Set("webhook-timestamp", strconv.Itoa(moment+1)) }, "refused"},
		"a time in words":     {func(h http.Header) { h.Set("webhook-timestamp", "now") }, "refused"},
		"another key":         {func(h http.Header) { h.Set("webhook-signature", signature([]byte("x"), "")) }, "refused"},
		"the id that is sent": {func(h http.Header) { h.Set("Idempotency-Key", "another") }, good}, // nobody signed that one
	} {
		h := signed("push", tokenKey(t), moment, text)
		tc.change(h)
		p, err := testForge(t, secret, signingToken).Push(h, text)
		if got := describe(p, err); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
		if err == nil && p.DeliveryID != h.Get("webhook-id") {
			t.Errorf("%s: the id is %q", name, p.DeliveryID)
		}
	}
	other := bytes.Replace(text, []byte("refs/heads/main"), []byte("refs/heads/evil"), 1)
	if got := describe(testForge(t, secret, signingToken).Push(signed("push", tokenKey(t), moment, text), other)); got != "refused" {
		t.Errorf("another text: %s", got)
	}
	// A forge that has not been told of signatures goes by the secret.
	if got := describe(testForge(t, secret, "").Push(signed("push", []byte("unknown"), moment, text), text)); got != good {
		t.Errorf("without a signing token: %s", got)
	}
}

// A signature is good for five minutes, before and after.
func TestSignaturesAge(t *testing.T) {
	text := readFile(t, "testdata/push.branch.json")
	for age, want := range map[time.Duration]bool{
		0: true, 5 * time.Minute: true, -5 * time.Minute: true, 5*time.Minute + time.Second: false, -5*time.Minute - time.Second: false,
		24 * time.Hour: false, moment * time.Second: false, -200 * 365 * 24 * time.Hour: false,
	} {
		at := int64(moment) - int64(age/time.Second)
		_, err := testForge(t, secret, signingToken).Push(signed("push", tokenKey(t), at, text), text)
		if (err == nil) != want {
			t.Errorf("after %s: %v", age, err)
		}
	}
	for _, at := range []int64{-1 << 63, 1<<63 - 1} {
		if _, err := testForge(t, secret, signingToken).Push(signed("push", tokenKey(t), at, text), text); err == nil {
			t.Errorf("a signature of %d was accepted", at)
		}
	}
}

// The points of "ID.TIME.BODY" are where they are: a text within a signed one, such as a commit message, is not signed.
func TestSignaturesCoverOneTextOnly(t *testing.T) {
	inner := string(readFile(t, "testdata/push.branch.json"))
	h := gitlabHeader("push", secret)
	h.Set("webhook-id", fmt.Sprintf(`dedb98ca.%d.{"message":"`, moment))
	h.Set("webhook-timestamp", strconv.Itoa(moment))
	h.Set("webhook-signature", signature(tokenKey(t), fmt.Sprintf(`dedb98ca.%d.{"message":".%d.%s`, moment, moment, inner)))
	if got := describe(testForge(t, secret, signingToken).Push(h, []byte(inner))); got != "refused" {
		t.Errorf("got %s", got)
	}
}

// Whoever administers another repository may know that one's signing token, and nothing follows.
func TestSignatureOfARepository(t *testing.T) {
	text := readFile(t, "testdata/push.branch.json")
	for name, tc := range map[string]struct {
		key      []byte
		narrowly bool
		want     string
	}{
		"its own":          {repositoryKey(signingToken, 4711), true, "4711:acme/site refs/heads/main ccccccc 3 files"},
		"the forge's":      {tokenKey(t), false, "4711:acme/site refs/heads/main ccccccc 3 files"},
		"another's":        {repositoryKey(signingToken, 4712), false, "refused"},
		"of no repository": {repositoryKey(signingToken, 0), false, "refused"},
		"of another forge": {repositoryKey(signingToken+"x", 4711), false, "refused"},
		"of the secret":    {repositoryKey(secret, 4711), false, "refused"},
		"empty":            {nil, false, "refused"},
	} {
		p, err := testForge(t, secret, signingToken).Push(signed("push", tc.key, moment, text), text)
		if got := describe(p, err); got != tc.want || p.RepositorySigned != tc.narrowly {
			t.Errorf("%s: %s, narrowly %v", name, got, p.RepositorySigned)
		}
	}
	key, err := parseSigningToken(repositorySigningToken(signingToken, 4711))
	if err != nil || !bytes.Equal(key, repositoryKey(signingToken, 4711)) {
		t.Errorf("a repository's signing token holds %x, %v", key, err)
	}
}

func TestSigningTokens(t *testing.T) {
	for _, bad := range []string{
		"x", "whsec_", strings.TrimPrefix(signingToken, "whsec_"), signingToken + "=", signingToken[:len(signingToken)-1], "whsec_AAAA",
		"whsec_" + strings.Repeat("A", 88), "WHSEC_" + signingToken[6:], signingToken + "\n ",
	} {
		if key, err := parseSigningToken(bad); err == nil || len(bad) > 20 && strings.Contains(err.Error(), bad[6:20]) {
			t.Errorf("%q holds %x, %v", bad, key, err)
		}
	}
	if key, err := parseSigningToken(""); key != nil || err != nil {
		t.Errorf("none is %x, %v", key, err)
	}
}
