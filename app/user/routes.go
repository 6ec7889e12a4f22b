package user

import (
	"context"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
)

// Routes registers the module's routes.
func (s *Service) Routes(r *api.Router) {
	// The own account. Limited routes are open to those who must first change their password or enrol.
	api.Post(r, "/user/login", s.postLogin, auth.Public(), api.Summary("Sign in"), api.NoAudit())
	api.Post(r, "/user/logout", s.postLogout, auth.Limited(), api.Summary("Sign out"))
	api.Get(r, "/user/me", s.getMe, auth.Limited(), api.Summary("Who I am and what I may do"))
	api.Post(r, "/user/password", s.postPassword, auth.Limited(), api.Summary("Change my password"))
	api.Post(r, "/user/totp", s.postTOTP, auth.Limited(), api.Summary("Begin to set up my second factor"))
	api.Post(r, "/user/totp/confirm", s.postConfirm, auth.Limited(), api.Summary("Turn my second factor on"))
	api.Post(r, "/user/totp/remove", s.postRemove, auth.SignedIn(), api.Summary("Turn my second factor off"))
	api.Get(r, "/user/sessions", s.getSessions, auth.SignedIn(), api.Summary("My sessions"))
	api.Delete(r, "/user/sessions/{session}", s.deleteSession, auth.SignedIn(), api.Summary("End a session of mine, or of somebody I manage"))

	api.Get(r, "/user/users", s.getUsers, auth.Can(Read), api.Summary("List people"))
	api.Post(r, "/user/users", s.postUser, auth.Can(Manage), api.Summary("Make a person"), api.Status(201))
	api.Get(r, "/user/users/{id}", s.getUser, auth.Can(Read), api.Summary("One person"))
	api.Patch(r, "/user/users/{id}", s.patchUser, auth.Can(Manage), api.Summary("Change a person"))
	api.Post(r, "/user/users/{id}/reset", s.postReset, auth.Can(Manage), api.Summary("Give a new password"))
	api.Post(r, "/user/users/{id}/unlock", s.postUnlock, auth.Can(Manage), api.Summary("Unlock after wrong attempts"))
	api.Post(r, "/user/users/{id}/drop-totp", s.postDropTOTP, auth.Can(Manage), api.Summary("Take a lost second factor away"))
	api.Get(r, "/user/users/{id}/sessions", s.getUserSessions, auth.Can(Manage), api.Summary("Sessions of a person"))

	api.Get(r, "/user/units", s.getUnits, auth.Can(Read), api.Summary("The organisation tree"))
	api.Post(r, "/user/units", s.postUnit, auth.Can(ManageUnits), api.Summary("Make a unit"), api.Status(201))
	api.Patch(r, "/user/units/{id}", s.patchUnit, auth.Can(ManageUnits), api.Summary("Rename or move a unit"))
	api.Delete(r, "/user/units/{id}", s.deleteUnit, auth.Can(ManageUnits), api.Summary("Remove an empty unit"))

	api.Get(r, "/user/permissions", s.getPermissions, auth.Can(Read), api.Summary("All permissions there are"))
	api.Get(r, "/user/roles", s.getRoles, auth.Can(Read), api.Summary("Preset and own roles"))
	api.Post(r, "/user/roles", s.postRole, auth.Can(ManageRoles), api.Summary("Make a role"), api.Status(201))
	api.Put(r, "/user/roles/{id}", s.putRole, auth.Can(ManageRoles), api.Summary("Change a role"))
	api.Delete(r, "/user/roles/{id}", s.deleteRole, auth.Can(ManageRoles), api.Summary("Remove a role that nobody has"))

	api.Get(r, "/user/keys", s.getKeys, auth.Can(ManageKeys), api.Summary("List API keys"))
	api.Post(r, "/user/keys", s.postKey, auth.Can(ManageKeys), api.Summary("Make an API key"), api.Status(201))
	api.Delete(r, "/user/keys/{id}", s.deleteKey, auth.Can(ManageKeys), api.Summary("Revoke an API key"))
}

// Me is who asks, for the desktop.
type Me struct {
	Kind     auth.Kind      `json:"kind" enum:"user,key"`
	ID       auth.UserID    `json:"id"`
	Login    string         `json:"login"`
	Name     string         `json:"name"`
	Language string         `json:"language"`
	UnitID   auth.UnitID    `json:"unit_id"`
	UnitPath string         `json:"unit_path"`
	Roles    []string       `json:"roles"`
	Grants   auth.Grants    `json:"grants" doc:"How far each permission reaches"`
	Session  auth.SessionID `json:"session"`
	Must     auth.Duty      `json:"must,omitempty" enum:"change_password,enrol_totp" doc:"To be done before anything else"`
}

// UserPath is for routes of one person.
type UserPath struct {
	ID auth.UserID `path:"id"`
}

type passwordIn struct {
	Body struct {
		Password string `json:"password" minLength:"1" maxLength:"200" doc:"The present one"`
	}
}

func (s *Service) postLogin(ctx context.Context, in *struct{ Body Credentials }) (SignedIn, error) {
	return s.Login(ctx, in.Body)
}

func (s *Service) postLogout(ctx context.Context, _ *struct{}) (api.None, error) {
	return api.None{}, s.Logout(ctx)
}

func (s *Service) getMe(ctx context.Context, _ *struct{}) (Me, error) {
	p := auth.From(ctx)
	return Me{p.Kind, p.UserID, p.Login, p.Name, p.Language, p.UnitID, p.UnitPath, p.Roles, p.Grants, p.SessionID, p.Must}, nil
}

func (s *Service) postPassword(ctx context.Context, in *struct {
	Body struct {
		Old string `json:"old" minLength:"1" maxLength:"200"`
		New string `json:"new" minLength:"1" maxLength:"200"`
	}
}) (api.None, error) {
	return api.None{}, s.ChangePassword(ctx, in.Body.Old, in.Body.New)
}

func (s *Service) postTOTP(ctx context.Context, in *passwordIn) (TOTP, error) {
	return s.EnrolTOTP(ctx, in.Body.Password)
}

// RecoveryCodes are good once each, in place of a code of the second factor.
type RecoveryCodes struct {
	Codes []string `json:"codes" doc:"Shown once"`
}

func (s *Service) postConfirm(ctx context.Context, in *struct {
	Body struct {
		Code string `json:"code" minLength:"6" maxLength:"6"`
	}
}) (RecoveryCodes, error) {
	codes, err := s.ConfirmTOTP(ctx, in.Body.Code)
	return RecoveryCodes{codes}, err
}

func (s *Service) postRemove(ctx context.Context, in *passwordIn) (api.None, error) {
	return api.None{}, s.RemoveTOTP(ctx, in.Body.Password)
}

func (s *Service) getSessions(ctx context.Context, _ *struct{}) ([]Session, error) {
	return s.Sessions(ctx, auth.From(ctx).UserID)
}

func (s *Service) getUserSessions(ctx context.Context, in *UserPath) ([]Session, error) {
	return s.Sessions(ctx, in.ID)
}

func (s *Service) deleteSession(ctx context.Context, in *struct {
	ID auth.SessionID `path:"session"`
}) (api.None, error) {
	return api.None{}, s.EndSession(ctx, in.ID)
}

func (s *Service) getUsers(ctx context.Context, in *struct {
	Filter
	api.Paging
}) (api.Page[User], error) {
	return s.Users(ctx, in.Filter, in.Paging)
}

func (s *Service) postUser(ctx context.Context, in *struct{ Body NewUser }) (Password, error) {
	return s.Create(ctx, in.Body)
}

func (s *Service) getUser(ctx context.Context, in *UserPath) (User, error) { return s.User(ctx, in.ID) }

func (s *Service) patchUser(ctx context.Context, in *struct {
	UserPath
	Body Change
}) (User, error) {
	return s.Update(ctx, in.ID, in.Body)
}

func (s *Service) postReset(ctx context.Context, in *UserPath) (Password, error) {
	return s.Reset(ctx, in.ID)
}

func (s *Service) postUnlock(ctx context.Context, in *UserPath) (User, error) {
	return s.Unlock(ctx, in.ID)
}

func (s *Service) postDropTOTP(ctx context.Context, in *UserPath) (api.None, error) {
	return api.None{}, s.DropTOTP(ctx, in.ID)
}

// UnitPath is for routes of one unit.
type UnitPath struct {
	ID auth.UnitID `path:"id"`
}

func (s *Service) getUnits(ctx context.Context, _ *struct{}) ([]Unit, error) { return s.Units(ctx) }

func (s *Service) postUnit(ctx context.Context, in *struct{ Body NewUnit }) (Unit, error) {
	return s.CreateUnit(ctx, in.Body)
}

func (s *Service) patchUnit(ctx context.Context, in *struct {
	UnitPath
	Body UnitChange
}) (Unit, error) {
	return s.UpdateUnit(ctx, in.ID, in.Body)
}

func (s *Service) deleteUnit(ctx context.Context, in *UnitPath) (api.None, error) {
	return api.None{}, s.DeleteUnit(ctx, in.ID)
}

// RolePath is for routes of one role.
type RolePath struct {
	ID RoleID `path:"id"`
}

func (s *Service) getPermissions(context.Context, *struct{}) ([]auth.Definition, error) {
	return auth.Defined(), nil
}

func (s *Service) getRoles(ctx context.Context, _ *struct{}) ([]Role, error) { return s.Roles(ctx) }

func (s *Service) postRole(ctx context.Context, in *struct{ Body RoleData }) (Role, error) {
	return s.CreateRole(ctx, in.Body)
}

func (s *Service) putRole(ctx context.Context, in *struct {
	RolePath
	Body RoleData
}) (Role, error) {
	return s.UpdateRole(ctx, in.ID, in.Body)
}

func (s *Service) deleteRole(ctx context.Context, in *RolePath) (api.None, error) {
	return api.None{}, s.DeleteRole(ctx, in.ID)
}

func (s *Service) getKeys(ctx context.Context, _ *struct{}) ([]Key, error) { return s.Keys(ctx) }

func (s *Service) postKey(ctx context.Context, in *struct{ Body NewKey }) (KeyMade, error) {
	return s.CreateKey(ctx, in.Body)
}

func (s *Service) deleteKey(ctx context.Context, in *struct {
	ID auth.KeyID `path:"id"`
}) (api.None, error) {
	return api.None{}, s.RevokeKey(ctx, in.ID)
}
