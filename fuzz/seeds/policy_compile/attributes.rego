package tenant.acme

import rego.v1

deny contains "elsewhere" if {
	input.permission in {"entity.read", "changes.read"}
	not input.identity.attributes.site == "ewr"
}

deny contains `payroll` if startswith(input.resource.dataset, "pay")

test_elsewhere if "elsewhere" in deny with input as {"permission": "entity.read"}
