package crm

import (
	"context"
	"net/http"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
)

// Routes registers the HTTP routes of the module.
func (s *Service) Routes(r *api.Router) {
	api.Get(r, "/crm/customers", s.getCustomers, auth.Can(PermRead), api.Summary("Search customers by name or number"))
	api.Post(r, "/crm/customers", s.postCustomer, auth.Can(PermManage), api.Summary("Create a customer"), api.Status(http.StatusCreated))
	api.Get(r, "/crm/customers/{id}", s.getCustomer, auth.Can(PermRead), api.Summary("Show a customer"))
	api.Patch(r, "/crm/customers/{id}", s.patchCustomer, auth.Can(PermManage), api.Summary("Change a customer"))
}

func (s *Service) getCustomers(ctx context.Context, in *struct {
	Filter
	api.Paging
}) (api.Page[Customer], error) {
	return s.Search(ctx, in.Filter, in.Paging)
}

func (s *Service) getCustomer(ctx context.Context, in *struct {
	ID ID `path:"id" maxLength:"36"`
}) (Customer, error) {
	return s.Customer(ctx, in.ID)
}

func (s *Service) postCustomer(ctx context.Context, in *struct{ Body Edit }) (Customer, error) {
	return s.Create(ctx, in.Body)
}

func (s *Service) patchCustomer(ctx context.Context, in *struct {
	ID   ID `path:"id" maxLength:"36"`
	Body Edit
}) (Customer, error) {
	return s.Change(ctx, in.ID, in.Body)
}
