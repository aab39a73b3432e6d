package notify

import (
	"testing"

	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
