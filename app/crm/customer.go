package crm

import (
	"fmt"
	"strings"
	"time"

	"callplane/app/kernel/problem"
)

// ID names a customer.
type ID string

// Errors.
var ErrNumberTaken = problem.New(problem.Conflict, "crm_number_taken", "The number belongs to another customer")

// Customer is a person or company we talk to.
type Customer struct {
	ID        ID        `json:"id" gorm:"primaryKey;size:36"`
	UnitID    string    `json:"unit"`
	Name      string    `json:"name" doc:"Empty until someone asks for it"`
	Language  string    `json:"language,omitempty" example:"zh-CN"`
	Grade     string    `json:"grade,omitempty" doc:"Such as vip; what grades mean is up to queues and scripts"`
	Notes     string    `json:"notes,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`

	Numbers []string `json:"numbers" gorm:"-" doc:"In E.164; short and internal ones as they are"`
}

// TableName is the table of the customers.
func (Customer) TableName() string { return "crm_customers" }

// Number is a number of a customer. A tenant has each number once.
type Number struct {
	TenantID   string `gorm:"primaryKey;size:36"`
	Number     string `gorm:"primaryKey;size:40"`
	CustomerID ID
	UnitID     string // the customer's
	CreatedAt  time.Time
}

// TableName is the table of the customers' numbers.
func (Number) TableName() string { return "crm_numbers" }

// Models is every table of the module.
func Models() []any { return []any{Customer{}, Number{}} }

// Edit is a new customer, or what is to change of one: what is not sent stays as it is.
type Edit struct {
	Unit     *string  `json:"unit,omitempty" maxLength:"36" doc:"The unit the customer belongs to; without it, your own"`
	Name     *string  `json:"name,omitempty" maxLength:"120"`
	Language *string  `json:"language,omitempty" maxLength:"10"`
	Grade    *string  `json:"grade,omitempty" maxLength:"20"`
	Notes    *string  `json:"notes,omitempty" maxLength:"20000"`
	Numbers  []string `json:"numbers,omitempty" maxItems:"20" doc:"In any notation; replaces all that the customer has"`
}

// put makes the changes and says what is wrong with them. normalise is how numbers are kept.
func (c *Customer) put(e Edit, normalise func(string) (string, bool)) error {
	for _, f := range []struct{ field, value *string }{
		{&c.UnitID, e.Unit}, {&c.Name, e.Name}, {&c.Language, e.Language}, {&c.Grade, e.Grade}, {&c.Notes, e.Notes},
	} {
		if f.value != nil {
			*f.field = strings.TrimSpace(*f.value)
		}
	}
	if e.Numbers == nil {
		return nil
	}
	c.Numbers = []string{}
	var fault *problem.Problem
	seen := map[string]bool{}
	for i, raw := range e.Numbers {
		n, ok := normalise(raw)
		if !ok && !isNumber(n) {
			fault = problem.ErrInvalid.At(fmt.Sprintf("body.numbers[%d]", i), "invalid", "%q is no number.", raw)
			continue
		}
		if !seen[n] {
			seen[n] = true
			c.Numbers = append(c.Numbers, n)
		}
	}
	if fault != nil {
		return fault
	}
	return nil
}

// isNumber says that the text consists of 2 to 40 digits, with a plus before them if need be.
func isNumber(s string) bool {
	d := strings.TrimPrefix(s, "+")
	return len(d) >= 2 && len(s) <= 40 && strings.Trim(d, "0123456789*#") == ""
}
