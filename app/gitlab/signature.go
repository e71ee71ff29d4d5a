package gitlab

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tinyforge/app"
)

const (
	// tolerance is how far the time that a signature names may be from ours: what is older may be a replay.
	tolerance = 5 * time.Minute

	signingPrefix = "whsec_"
	signingLength = 32 // bytes of a key
)

// parseSigningToken returns the key that a signing token holds, nil for none.
func parseSigningToken(token string) ([]byte, error) {
	if token == "" {
		return nil, nil
	}
	text, prefixed := strings.CutPrefix(token, signingPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !prefixed || err != nil || len(key) != signingLength {
		return nil, errors.New("the signing token must be whsec_ and the base64 of 32 bytes")
	}
	return key, nil
}

// repositoryKey is to a signing token what app.RepositorySecret is to a secret.
func repositoryKey(token string, externalID int64) []byte {
	key, _ := hex.DecodeString(app.RepositorySecret(token, externalID)) // it is hexadecimal
	return key
}

func repositorySigningToken(token string, externalID int64) string {
	return signingPrefix + base64.StdEncoding.EncodeToString(repositoryKey(token, externalID))
}

// verify tells whether a delivery is authentic, and narrowly that whoever administers its repository could have made it.
func (f *Forge) verify(h http.Header, body []byte) (authentic, narrowly bool) {
	if f.signingKey != nil {
		return f.verifySignature(h, body)
	}
	return f.verifyToken(h.Get("X-Gitlab-Token"), body)
}

// verifyToken tries the forge's secrets, then those of the repository which the text claims to be about.
func (f *Forge) verifyToken(token string, body []byte) (authentic, narrowly bool) {
	for _, secret := range f.row.Credentials.WebhookSecrets() {
		if sameSecret(secret, token) {
			return true, false
		}
		if id := claimedProject(body); id > 0 && token != "" {
			narrowly = narrowly || sameSecret(app.RepositorySecret(secret, id), token)
		}
	}
	return narrowly, narrowly
}

// sameSecret takes the same time for any two texts of the same lengths, however much they have in common. An empty secret is
// the same as none.
func sameSecret(want, got string) bool {
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(got))
	return hmac.Equal(a[:], b[:]) && want != ""
}

// verifySignature is verifyToken for the scheme of Standard Webhooks: an HMAC over "ID.TIME.BODY".
func (f *Forge) verifySignature(h http.Header, body []byte) (authentic, narrowly bool) {
	id, stamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || f.now().Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return false, false
	}
	if id == "" || strings.Contains(id, ".") { // with more points, several texts would have this signature
		return false, false
	}
	signed := func(key []byte) bool {
		return verifies(key, h.Get("webhook-signature"), []byte(id+"."+stamp+"."), body)
	}
	if signed(f.signingKey) {
		return true, false
	}
	if project := claimedProject(body); project > 0 {
		narrowly = signed(repositoryKey(f.row.Credentials.SigningToken, project))
	}
	return narrowly, narrowly
}

// verifies tells whether one of the signatures, "v1,BASE64" with spaces between them, is the HMAC-SHA256 of the texts under
// key. The comparison takes constant time.
func verifies(key []byte, signatures string, texts ...[]byte) bool {
	mac := hmac.New(sha256.New, key)
	for _, text := range texts {
		mac.Write(text)
	}
	want := mac.Sum(nil)
	for signature := range strings.FieldsSeq(signatures) {
		text, known := strings.CutPrefix(signature, "v1,")
		got, err := base64.StdEncoding.DecodeString(text)
		if known && err == nil && hmac.Equal(got, want) {
			return true
		}
	}
	return false
}

// claimedProject reads the one thing that has to be known before the delivery is: whose secret to try. The id is found as
// pushEvent finds it, so that both are the same also where a text has several. It is 0 when there is none.
func claimedProject(body []byte) int64 {
	var e struct {
		Project struct {
			ID int64 `json:"id"`
		} `json:"project"`
	}
	if json.Unmarshal(body, &e) != nil {
		return 0
	}
	return e.Project.ID
}
