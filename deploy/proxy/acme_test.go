package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
)

// A certificate comes from a CA by ACME, on the first handshake, by each of the challenges that our listeners answer; no
// option of the route is in the CA's way.
func TestACME(t *testing.T) {
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			ca := newTestCA(t, challenge)
			p := newTestProxy(t, Config{HTTPS: "127.0.0.1:0", ACME: ACME{CA: ca.url + "/dir", Email: "ops@example.com"}})
			ca.proxy.Store(p)
			p.run(t)
			rt := db.Route{WorkloadID: 1, Host: "www.example.com", RouteOptions: guarded(t)}
			rt.Paths = []string{"/app"}
			must(t, p.Upsert(t.Context(), rt, echoName(t, "a")))
			client := p.tlsClient(t)
			client.Transport.(*http.Transport).TLSClientConfig.RootCAs = ca.roots

			for range 2 {
				req := signedIn("ann", "correct horse")
				req.Host, req.RequestURI, req.URL = "", "", &url.URL{Scheme: "https", Host: "www.example.com", Path: "/app"}
				res, err := client.Do(req)
				if err != nil {
					t.Fatalf("%v; log: %s", err, p.logged)
				}
				must(t, res.Body.Close())
				if issuer := res.TLS.PeerCertificates[0].Issuer.CommonName; res.StatusCode != http.StatusOK || issuer != "Test CA" {
					t.Errorf("got %d, certificate by %q", res.StatusCode, issuer)
				}
			}
			if _, err := client.Get("https://other.example.com/"); err == nil {
				t.Error("a host that is not in the table was answered")
			}
			if n := ca.orders.Load(); n != 1 {
				t.Errorf("%d orders, want 1", n)
			}
		})
	}
}

// testCA is the part of an ACME server (RFC 8555) that one order needs. It proves the challenge on the proxy for real.
type testCA struct {
	challenge string
	url       string
	proxy     atomic.Pointer[testProxy]
	orders    atomic.Int64

	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	roots *x509.CertPool

	host   atomic.Value // of the order
	failed atomic.Value // why the challenge was not met
	valid  atomic.Bool  // the challenge was met
	chain  atomic.Value // the certificate, when it is issued
}

func newTestCA(t *testing.T, challenge string) *testCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	ca := &testCA{challenge: challenge, key: key, cert: cert, roots: x509.NewCertPool()}
	ca.roots.AddCert(cert)
	s := httptest.NewServer(ca.routes())
	t.Cleanup(s.Close)
	ca.url = s.URL
	return ca
}

func (ca *testCA) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/dir", func(w http.ResponseWriter, _ *http.Request) {
		ca.write(w, http.StatusOK, object{
			"newNonce": ca.url + "/nonce", "newAccount": ca.url + "/account", "newOrder": ca.url + "/order",
		})
	})
	mux.HandleFunc("/nonce", func(w http.ResponseWriter, _ *http.Request) { ca.write(w, http.StatusOK, nil) })
	mux.HandleFunc("/account", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", ca.url+"/account/1")
		ca.write(w, http.StatusCreated, object{"status": "valid"})
	})
	mux.HandleFunc("/order", func(w http.ResponseWriter, r *http.Request) {
		var o struct{ Identifiers []struct{ Value string } }
		if err := payload(r, &o); err != nil || len(o.Identifiers) != 1 {
			http.Error(w, "bad order", http.StatusBadRequest)
			return
		}
		ca.orders.Add(1)
		ca.host.Store(o.Identifiers[0].Value)
		w.Header().Set("Location", ca.url+"/order/1")
		ca.write(w, http.StatusCreated, ca.order())
	})
	mux.HandleFunc("/order/1", func(w http.ResponseWriter, _ *http.Request) { ca.write(w, http.StatusOK, ca.order()) })
	mux.HandleFunc("/authz", func(w http.ResponseWriter, _ *http.Request) { ca.write(w, http.StatusOK, ca.authz()) })
	mux.HandleFunc("/challenge", func(w http.ResponseWriter, _ *http.Request) {
		if err := ca.prove(); err != nil {
			ca.failed.Store(err.Error())
		} else {
			ca.valid.Store(true)
		}
		ca.write(w, http.StatusOK, ca.authz()["challenges"].([]object)[0])
	})
	mux.HandleFunc("/finalize", func(w http.ResponseWriter, r *http.Request) {
		var f struct{ CSR string }
		if err := errors.Join(payload(r, &f), ca.issue(f.CSR)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		ca.write(w, http.StatusOK, ca.order())
	})
	mux.HandleFunc("/cert", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		w.Header().Set("Replay-Nonce", rand.Text())
		_, _ = w.Write(ca.chain.Load().([]byte))
	})
	return mux
}

const challengeToken = "a-token-of-the-test-ca"

func (ca *testCA) order() object {
	o := object{
		"status":         "pending",
		"identifiers":    []object{{"type": "dns", "value": ca.host.Load()}},
		"authorizations": []string{ca.url + "/authz"},
		"finalize":       ca.url + "/finalize",
	}
	switch {
	case ca.chain.Load() != nil:
		o["status"], o["certificate"] = "valid", ca.url+"/cert"
	case ca.valid.Load():
		o["status"] = "ready"
	}
	return o
}

func (ca *testCA) authz() object {
	status := "pending"
	challenge := object{"type": ca.challenge, "url": ca.url + "/challenge", "token": challengeToken}
	if ca.valid.Load() {
		status = "valid"
	} else if why := ca.failed.Load(); why != nil {
		status = "invalid"
		challenge["error"] = object{"type": "urn:ietf:params:acme:error:unauthorized", "detail": why}
	}
	challenge["status"] = status
	return object{
		"status": status, "challenges": []object{challenge},
		"identifier": object{"type": "dns", "value": ca.host.Load()},
	}
}

// prove looks for the answer to the challenge where a CA would.
func (ca *testCA) prove() error {
	p, host := ca.proxy.Load(), ca.host.Load().(string)
	if ca.challenge == "http-01" {
		status, body := p.get(host, "/.well-known/acme-challenge/"+challengeToken)
		if status != http.StatusOK || !strings.HasPrefix(body, challengeToken+".") {
			return fmt.Errorf("got %d %q", status, body)
		}
		return nil
	}
	c, err := tls.Dial("tcp", p.HTTPSAddr().String(), &tls.Config{
		ServerName: host, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true,
	})
	if err != nil {
		return err
	}
	defer c.Close()
	const acmeIdentifier = "1.3.6.1.5.5.7.1.31"
	for _, ext := range c.ConnectionState().PeerCertificates[0].Extensions {
		if ext.Id.String() == acmeIdentifier {
			return nil
		}
	}
	return errors.New("no certificate for the challenge")
}

func (ca *testCA) issue(csr64 string) error {
	der, err := base64.RawURLEncoding.DecodeString(csr64)
	if err != nil {
		return err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: csr.DNSNames,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, leaf, ca.cert, csr.PublicKey, ca.key)
	if err != nil {
		return err
	}
	ca.chain.Store(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	return nil
}

func (ca *testCA) write(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Replay-Nonce", rand.Text())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

// payload decodes what a signed request says. Its signature is not looked at.
func payload(r *http.Request, v any) error {
	var jws struct{ Payload string }
	if err := json.NewDecoder(r.Body).Decode(&jws); err != nil {
		return err
	}
	b, err := base64.RawURLEncoding.DecodeString(jws.Payload)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
