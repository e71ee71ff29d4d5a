package settings_test

import (
	"net/http"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

func TestAnAppOfSomebodyWhoWasRemovedIsFinishedByAnother(t *testing.T) {
	w, s := newWorld(t), newForgeServer(t, forgetest.Options{Kind: forgetest.GitHub})
	b := w.owner()
	w.begun(w.as(db.Administrator), s)
	r, err := w.db.AppRequest(t.Context(), 1)
	must(t, err)
	_, err = w.db.ReturnAppRequest(t.Context(), r.State, "c0de", r.UserID)
	must(t, err)
	b.get("/forges/new/github/1").is(t, http.StatusOK, "Somebody else has begun this")
	must(t, w.db.DeleteUser(t.Context(), r.UserID))
	kept, err := w.db.AppRequest(t.Context(), 1)
	if err != nil || kept.Code != "c0de" || kept.UserID != 0 {
		t.Fatalf("kept is %+v, %v", kept, err)
	}
	b.get("/forges").is(t, http.StatusOK, "tinyforge-x7k2")
	b.get("/forges/new/github/1").is(t, http.StatusOK, "What is left is to fetch its keys")
	b.post("/forges/new/github/1/retry").is(t, http.StatusGone, "Delete the app that was made before at GitHub") // GitHub was asked
	b.post("/forges/new/github/1/renew").leads(t, "/forges/new/github/1")
	b.get("/forges/new/github/1").is(t, http.StatusOK, "Continue to GitHub")
}

func TestAnUnfinishedAppOfSomebodyWhoWasRemovedIsBegunAnew(t *testing.T) {
	w, s := newWorld(t), newForgeServer(t, forgetest.Options{Kind: forgetest.GitHub})
	b := w.owner()
	r, _ := w.begun(w.as(db.Administrator), s)
	must(t, w.db.DeleteUser(t.Context(), r.UserID))
	b.get("/forges/new/github/1").is(t, http.StatusOK, "Somebody else has begun this")
	b.post("/forges/new/github/1/delete").leads(t, "/forges")
}
