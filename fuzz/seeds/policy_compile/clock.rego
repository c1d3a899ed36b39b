package tenant.acme

# At night nobody writes.
deny contains "night" if {
	some hour
	[hour, _, _] := time.clock(time.now_ns())
	hour < 6
	endswith(input.permission, ".write")
}

late(hour) := hour >= 22

default quiet := false

quiet if {
	every role in input.identity.roles {
		role != "operator"
	}
	count([x | some x in input.identity.roles; late(count(x))]) == 0
} else := true

test_night if "night" in deny with input as {"permission": "contract.write"} with time.now_ns as 0
