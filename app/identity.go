package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/oauth2"

	"tinyforge/db"
)

// Identifier is a Forge whose accounts may sign people in, by OAuth2.
type Identifier interface {
	// Identity tells where. It makes no network call.
	Identity() Identity
}

// Identity is where a forge signs people in.
type Identity struct {
	AuthURL, TokenURL string
	UserURL           string // answers with the account's id and login
	LoginsURL         string // with a login after it, the same of any account
	Scopes            []string
}

// Account is who signed in at a forge.
type Account struct {
	ID    string // the forge's number of the account: it stays when the login is changed
	Login string
}

// ErrNoSignIn is returned for a forge that signs nobody in: it cannot, or its row has no client id and secret.
var ErrNoSignIn = errors.New("this forge signs nobody in")

// MayIdentify tells whether accounts of the forge could sign people in, once the row has a client id and secret.
func (f *Forges) MayIdentify(row db.Forge) bool {
	_, err := f.identity(row)
	return err == nil
}

// identity returns ErrNoSignIn for a forge that cannot.
func (f *Forges) identity(row db.Forge) (Identity, error) {
	forge, err := f.OpenRow(row)
	if err != nil {
		return Identity{}, err
	}
	identifier, ok := forge.(Identifier)
	if !ok {
		return Identity{}, ErrNoSignIn
	}
	return identifier.Identity(), nil
}

// SignInURL is the forge's page on which somebody lets us know who they are; it leads back to callback, with state. verifier
// is of PKCE: the code that comes back is of use to Identify with the same one only.
func (f *Forges) SignInURL(row db.Forge, callback, state, verifier string) (string, error) {
	config, _, err := f.oauth(row, callback)
	if err != nil {
		return "", err
	}
	return config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)), nil
}

// Identify takes the code that came back and asks the forge whose it is. Its errors hold no secret, and of an HTTP answer
// the code alone, as a *StatusError.
func (f *Forges) Identify(ctx context.Context, row db.Forge, callback, code, verifier string) (Account, error) {
	const op = "sign in"
	config, identity, err := f.oauth(row, callback)
	if err != nil {
		return Account{}, err
	}
	client, err := NewClient(f.networks(row))
	if err != nil {
		return Account{}, err
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, client)
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if answer, ok := errors.AsType[*oauth2.RetrieveError](err); ok { // its text holds the answer's body
		return Account{}, &StatusError{Op: op, Code: answer.Response.StatusCode}
	}
	if err != nil {
		return Account{}, CallError(ctx, op, err)
	}
	return askAccount(ctx, client, op, identity.UserURL, token.AccessToken)
}

// Account asks a forge whose a login is now. Where strangers are not told, it asks with the row's token, if there is one.
func (f *Forges) Account(ctx context.Context, row db.Forge, login string) (Account, error) {
	const op = "read account"
	at, err := f.identity(row)
	if err != nil {
		return Account{}, err
	}
	client, err := NewClient(f.networks(row))
	if err != nil {
		return Account{}, err
	}
	account, err := askAccount(ctx, client, op, at.LoginsURL+url.PathEscape(login), "")
	if _, refused := errors.AsType[*StatusError](err); refused && row.Credentials.Token != "" {
		account, err = askAccount(ctx, client, op, at.LoginsURL+url.PathEscape(login), row.Credentials.Token)
	}
	if err == nil && !strings.EqualFold(account.Login, login) {
		return Account{}, fmt.Errorf("%s: the forge's answer is of another account", op)
	}
	return account, err
}

func askAccount(ctx context.Context, client *http.Client, op, at, token string) (Account, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return Account{}, fmt.Errorf("%s: %w", op, err)
	}
	req.Header.Set("Accept", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return Account{}, CallError(ctx, op, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return Account{}, NewStatusError(op, resp)
	}
	var user struct {
		ID    int64  `json:"id"`
		Login string `json:"login"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&user); err != nil || user.ID <= 0 || user.Login == "" {
		return Account{}, fmt.Errorf("%s: the forge's answer names no account", op)
	}
	return Account{ID: strconv.FormatInt(user.ID, 10), Login: user.Login}, nil
}

func (f *Forges) oauth(row db.Forge, callback string) (*oauth2.Config, Identity, error) {
	at, err := f.identity(row)
	if err != nil {
		return nil, Identity{}, err
	}
	if row.Credentials.ClientID == "" || row.Credentials.ClientSecret == "" {
		return nil, Identity{}, ErrNoSignIn
	}
	return &oauth2.Config{
		ClientID: row.Credentials.ClientID, ClientSecret: row.Credentials.ClientSecret, RedirectURL: callback, Scopes: at.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: at.AuthURL, TokenURL: at.TokenURL, AuthStyle: oauth2.AuthStyleInParams},
	}, at, nil
}
