package tenant.acme
deny contains "x" if 1 + 2 * 3 - 4 / 5 % 6 == {1, 2} | {3} & {"a": [1, {2: null}], "b": 1.5e3}["a"][0]
test_x := true if not false
