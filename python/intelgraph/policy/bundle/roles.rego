# Which roles grant which permission. A new permission is one line.
package intelgraph.roles

granted_by := {
	"approval.approve": {"security-officer"},
	"approval.approve_as_machine": {"machine-approver"},
	"approval.read": {"security-officer", "auditor", "operator"},
	"approval.request": {"security-officer", "operator"},
	"changes.read": {"analyst", "auditor"},
	"channelz.read": {"operator"},
	"contract.read": {"connector", "service", "analyst", "security-officer", "auditor", "operator"},
	"contract.write": {"operator"},
	"entity.read": {"service", "analyst", "auditor"},
	"envelope.decrypt": {"service"},
	"envelope.encrypt": {"service"},
	"flag.read": {"security-officer", "auditor", "operator"},
	"flag.write": {"security-officer", "operator"},
	"ingest.write": {"connector"},
	"ledger.cosign": {"operator"},
	"ledger.erase": {"security-officer"},
	"ledger.prove": {"connector", "service", "analyst", "security-officer", "auditor", "operator"},
	"ledger.read": {"security-officer", "auditor", "operator"},
	"metrics.read": {"auditor", "operator"},
	"operation.cancel": {"security-officer", "operator"},
	"operation.read": {"security-officer", "auditor", "operator"},
	"policy.read": {"security-officer", "auditor"},
	"policy.write": {"security-officer"},
	"quarantine.read": {"security-officer", "auditor", "operator"},
	"retention.run": {"operator"},
	"tenant.read": {"security-officer", "auditor", "operator"},
	"tenant.write": {"operator"},
}

# Every role there is. `playbook` is for automation; the permissions of playbooks come with them. `machine-approver` lets
# a machine use what its other roles let a person approve; nobody has it who was not given it on purpose.
names := {
	"connector",
	"service",
	"analyst",
	"security-officer",
	"auditor",
	"operator",
	"playbook",
	"machine-approver",
}

# Permissions whose use shows or changes what is not the caller's tenant's: the platform tenant's only.
across_tenants := {
	"channelz.read",
	"ledger.cosign",
	"ledger.erase",
	"metrics.read",
	"tenant.read",
	"tenant.write",
}

# Permissions that a tenant's own rules cannot take away.
beyond_tenant_rules := {"policy.read", "policy.write"}
