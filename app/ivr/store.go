package ivr

import "time"

// Flow is a stored flow: its document and who owns it.
type Flow struct {
	ID        FlowID    `json:"id" gorm:"primaryKey;size:36"`
	UnitID    string    `json:"unit" gorm:"size:36"`
	Name      string    `json:"name" gorm:"size:120"`
	Document  string    `json:"document" gorm:"type:text" doc:"YAML"`
	Version   int       `json:"version" doc:"Counts up with every change"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// TableName is the table of flows.
func (Flow) TableName() string { return "ivr_flows" }

// Models is every table of the module.
func Models() []any { return []any{Flow{}} }
