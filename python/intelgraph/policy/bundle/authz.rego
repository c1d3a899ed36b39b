# The one decision for every call: `data.intelgraph.authz.decision`.
#
# input.permission                what the method needs, as area.verb
# input.identity.tenant           name of the caller's tenant
# input.identity.subject          the caller
# input.identity.roles            its roles
# input.identity.attributes       what its issuer says of it besides
# input.identity.machine          whether no person stands behind the call
# input.identity.platform         whether its tenant administers the gateway
# input.resource.tenant, .dataset what the request names, where it names any
package intelgraph.authz

# Undefined is denied.
default decision := {"allow": false, "reason": "PERMISSION_DENIED"}

decision := {"allow": false, "reason": "PERMISSION_DENIED"} if {
	not granted
} else := {"allow": false, "reason": "PLATFORM_TENANT_ONLY"} if {
	input.permission in data.intelgraph.roles.across_tenants
	not input.identity.platform
} else := {"allow": false, "reason": "TENANT_MISMATCH"} if {
	names_another_tenant
} else := {"allow": true, "reason": ""} if {
	# Before the tenant's rules are looked at: rules that deny everything, or fail, can still be replaced.
	input.permission in data.intelgraph.roles.beyond_tenant_rules
} else := {"allow": false, "reason": "TENANT_RULE"} if {
	count(denials) > 0
} else := {"allow": true, "reason": ""} if {
	count(denials) == 0
}

granted if {
	some role in data.intelgraph.roles.granted_by[input.permission]
	role in input.identity.roles
}

names_another_tenant if {
	input.resource.tenant != input.identity.tenant
}

# Rules of the caller's tenant. They only ever add reasons to deny.
denials contains denial if {
	some denial in data.tenant[input.identity.tenant].deny
}

# For those who may ask why.
explanation := {
	"granted_by": object.get(data.intelgraph.roles.granted_by, input.permission, set()),
	"denials": denials,
}
