package intelgraph.authz_test

ada := {
	"tenant": "acme",
	"subject": "ada",
	"roles": ["analyst"],
	"attributes": {},
	"machine": false,
	"platform": false,
}

asked(permission, changes) := {
	"permission": permission,
	"identity": {name: object.get(changes, name, value) | some name, value in ada},
	"resource": object.get(changes, "resource", {}),
}

reason(question) := reason if {
	reason := data.intelgraph.authz.decision.reason with input as question
}

allowed(question) if data.intelgraph.authz.decision.allow with input as question

test_a_role_grants_its_permissions if {
	allowed(asked("entity.read", {}))
	allowed(asked("entity.read", {"roles": ["made-up", "auditor"]}))
}

test_a_role_grants_no_others if {
	reason(asked("contract.write", {})) == "PERMISSION_DENIED"
	reason(asked("entity.read", {"roles": ["made-up"]})) == "PERMISSION_DENIED"
	reason(asked("entity.read", {"roles": []})) == "PERMISSION_DENIED"
}

test_undefined_is_denied if {
	reason({}) == "PERMISSION_DENIED"
	reason(asked("", {})) == "PERMISSION_DENIED"
	reason(asked("made.up", {"roles": ["operator"]})) == "PERMISSION_DENIED"
}

test_across_tenants_is_for_the_platform if {
	every permission in data.intelgraph.roles.across_tenants {
		roles := data.intelgraph.roles.granted_by[permission]
		reason(asked(permission, {"roles": roles})) == "PLATFORM_TENANT_ONLY"
		allowed(asked(permission, {"roles": roles, "platform": true}))
	}
}

test_another_tenant_is_denied if {
	reason(asked("entity.read", {"resource": {"tenant": "other"}})) == "TENANT_MISMATCH"
	allowed(asked("entity.read", {"resource": {"tenant": "acme"}}))
}

test_a_tenant_rule_denies if {
	question := asked("entity.read", {})
	reason(question) == "TENANT_RULE" with data.tenant as {"acme": {"deny": {"why"}}}
	allowed(question) with data.tenant as {"acme": {"deny": set()}}
	allowed(question) with data.tenant as {"other": {"deny": {"why"}}}
}

test_a_tenant_rule_grants_nothing if {
	question := asked("contract.write", {})
	reason(question) == "PERMISSION_DENIED" with data.tenant as {"acme": {"deny": set()}}
}

test_tenant_rules_do_not_lock_out_who_mends_them if {
	rules := {"acme": {"deny": {"everything"}}}
	allowed(asked("policy.write", {"roles": ["security-officer"]})) with data.tenant as rules
	allowed(asked("policy.read", {"roles": ["auditor"]})) with data.tenant as rules
}

test_every_granting_role_exists if {
	every _, roles in data.intelgraph.roles.granted_by {
		count(roles) > 0
		every role in roles {
			role in data.intelgraph.roles.names
		}
	}
}

test_what_is_special_is_granted_by_some_role if {
	every permission in data.intelgraph.roles.across_tenants {
		data.intelgraph.roles.granted_by[permission]
	}
	every permission in data.intelgraph.roles.beyond_tenant_rules {
		data.intelgraph.roles.granted_by[permission]
	}
}
