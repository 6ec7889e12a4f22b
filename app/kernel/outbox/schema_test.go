package outbox

import (
	"testing"

	"gorm.io/gorm"

	"callplane/app/kernel/db/dbtest"
)

func TestModel(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) { dbtest.CheckModels(t, d, row{}) })
}
