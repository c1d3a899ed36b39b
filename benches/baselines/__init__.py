"""The other sides of the comparisons: what a competent team would use or write without the gateway."""
