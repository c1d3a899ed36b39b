//! The builtins that a module may call: pure ones whose cost is bounded by their arguments, whose results are no larger
//! than those, and which mean the same in OPA.

/// Sorted. Left out on purpose: what makes large values of small ones (`numbers.range`, `sprintf`, `concat`, `replace`,
/// `json.marshal`, `bits.lsh`), what is random, and what reaches out.
const ALLOWED: &[&str] = &[
    "abs",
    "array.slice",
    "ceil",
    "contains",
    "count",
    "endswith",
    "floor",
    "indexof",
    "intersection",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "lower",
    "max",
    "min",
    "object.get",
    "object.keys",
    "object.subset",
    "round",
    "sort",
    "split",
    "startswith",
    "strings.any_prefix_match",
    "strings.any_suffix_match",
    "substring",
    "sum",
    "time.clock",
    "time.date",
    "time.now_ns",
    "time.parse_duration_ns",
    "time.parse_rfc3339_ns",
    "time.weekday",
    "to_number",
    "trim",
    "trim_left",
    "trim_prefix",
    "trim_right",
    "trim_space",
    "trim_suffix",
    "type_name",
    "upper",
];

/// Builtins whose answer differs from call to call with the same arguments.
const VOLATILE: &[&str] = &["time.now_ns"];

/// Whether a module may call it.
pub fn is_allowed(name: &str) -> bool {
    ALLOWED.binary_search(&name).is_ok()
}

/// Whether what leans on it may not be remembered.
pub fn is_volatile(name: &str) -> bool {
    VOLATILE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(ALLOWED.is_sorted());
        assert!(ALLOWED.iter().all(|name| is_allowed(name)));
        assert!(!is_allowed("http.send") && !is_allowed("rand.intn"));
    }
}
