package settings

import (
	"net/http"

	"tinyforge/db"
)

// deliveryPage is one delivery and what was decided.
type deliveryPage struct {
	db.DeliveryView
	Missed bool // it never came: it was found
}

func (v *visit) delivery() error {
	id, err := v.pathID("id")
	if err != nil {
		return err
	}
	found, err := v.DB.DeliveryView(v.r.Context(), id)
	if err != nil {
		return err
	}
	f := v.forgeFrame(v.say("title.delivery", "id", v.Number(id)), crumb{found.Forge, forgePath(found.ForgeID)})
	return v.render(http.StatusOK, "forges/delivery", f, deliveryPage{found, found.Event == "missed"})
}
