"""Questions that a population answers by twins: members that differ in one factor."""
