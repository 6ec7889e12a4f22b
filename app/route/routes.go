package route

import (
	"net/http"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
)

// Routes registers the HTTP routes of the module.
func (s *Service) Routes(r *api.Router) {
	created := api.Status(http.StatusCreated)

	api.Get(r, "/route/trunks", s.getTrunks, auth.Can(PermRead), api.Summary("List trunks, with state and live channels"))
	api.Post(r, "/route/trunks", s.postTrunk, auth.Can(PermManage), api.Summary("Create a trunk"), created)
	api.Get(r, "/route/trunks/{id}", s.getTrunk, auth.Can(PermRead), api.Summary("Show a trunk"))
	api.Patch(r, "/route/trunks/{id}", s.patchTrunk, auth.Can(PermManage), api.Summary("Change, enable or disable a trunk"))
	api.Delete(r, "/route/trunks/{id}", s.deleteTrunk, auth.Can(PermManage), api.Summary("Remove a trunk"))

	api.Get(r, "/route/numbers", s.getNumbers, auth.Can(PermRead), api.Summary("List numbers"))
	api.Post(r, "/route/numbers", s.postNumber, auth.Can(PermManage), api.Summary("Create a number"), created)
	api.Get(r, "/route/numbers/{id}", s.getNumber, auth.Can(PermRead), api.Summary("Show a number"))
	api.Patch(r, "/route/numbers/{id}", s.patchNumber, auth.Can(PermManage), api.Summary("Change a number"))
	api.Delete(r, "/route/numbers/{id}", s.deleteNumber, auth.Can(PermManage), api.Summary("Remove a number"))

	api.Get(r, "/route/phones", s.getPhones, auth.Can(PermUse), api.Summary("List phones, with their state"))
	api.Post(r, "/route/phones", s.postPhone, auth.Can(PermManage), api.Summary("Create a phone; its password is shown once"), created)
	api.Get(r, "/route/phones/{id}", s.getPhone, auth.Can(PermUse), api.Summary("Show a phone"))
	api.Patch(r, "/route/phones/{id}", s.patchPhone, auth.Can(PermManage), api.Summary("Change a phone"))
	api.Post(r, "/route/phones/{id}/password", s.postPassword, auth.Can(PermManage), api.Summary("Give a phone a new password, shown once"))
	api.Delete(r, "/route/phones/{id}", s.deletePhone, auth.Can(PermManage), api.Summary("Remove a phone"))

	api.Get(r, "/route/barred", s.getBarreds, auth.Can(PermRead), api.Summary("List barred numbers"))
	api.Post(r, "/route/barred", s.postBarred, auth.Can(PermManage), api.Summary("Bar a number"), created)
	api.Get(r, "/route/barred/{id}", s.getBarred, auth.Can(PermRead), api.Summary("Show a barred number"))
	api.Patch(r, "/route/barred/{id}", s.patchBarred, auth.Can(PermManage), api.Summary("Change the reason or unit of a barred number"))
	api.Delete(r, "/route/barred/{id}", s.deleteBarred, auth.Can(PermManage), api.Summary("Lift a bar"))

	api.Get(r, "/route/speed-dials", s.getDials, auth.Can(PermUse), api.Summary("List speed dials: your own and your units'"))
	api.Post(r, "/route/speed-dials", s.postDial, auth.Can(PermUse), api.Summary("Create a speed dial"), created)
	api.Get(r, "/route/speed-dials/{id}", s.getDial, auth.Can(PermUse), api.Summary("Show a speed dial"))
	api.Patch(r, "/route/speed-dials/{id}", s.patchDial, auth.Can(PermUse), api.Summary("Change a speed dial"))
	api.Delete(r, "/route/speed-dials/{id}", s.deleteDial, auth.Can(PermUse), api.Summary("Remove a speed dial"))

	api.Post(r, "/route/test", s.postTest, auth.Can(PermRead), api.Summary("Where would a call go, and why"), api.NoAudit())
}
