"""Numbers that decide what is called an overlap, satisfied, stationary or jammed: one constant, one value, one name."""

# An overlap is Δ above this many rounding errors of Δ. The errors of several contacts add up along a stiff chain:
# in packings at jamming, rounding makes up to about ten resolutions of overlap where there is none.
OVERLAP_RESOLUTIONS = 15.0

# A typical overlap of more rounding errors than this is resolved: below, forces are known to less than a per cent,
# and contacts are lost one by one although the packing is still jammed.
RESOLVED_RESOLUTIONS = 100.0

# Gaps below this many mean overlaps are contacts just lost and no part of the law of small gaps. In jammed packings
# of 256 discs contacts just lost reach 11 mean overlaps; the next gap is 4000 away.
LOST_CONTACT_OVERLAPS = 15.0

# Typical overlap, in units of the system, below which U = 0 but for rounding: U/N_Δ = 1e-20 unit². Overlaps of
# jamming, 1e-8 to 1e-7 units, are a hundred times larger, those of rounding a thousand times smaller.
FITTED = 1.5e-10

# Below this relative gradient tiny overlaps balance each other, and no small step opens them. On a path to U = 0 the
# forces are out of balance by their whole size: the relative gradient is of order one.
BALANCED = 1e-6

# Relative gradient ‖∇U‖/‖u'‖ that `certify` asks for, and that a state needs before a branch continues from it:
# forces, and with them the slopes of kinks, are then known to nine digits.
STATIONARY = 1e-9

# Relative gradient that is enough for an intermediate state of `jam` whose kinks keep rearranging, so that Newton's
# method comes no nearer: the next stage starts there (docs/decisions/048).
NEARLY_STATIONARY = 1e-7

# Relative gradient of a state that is measured and quoted. Larger than STATIONARY, since at jamming overlaps of 1e-8
# diameters are compared with the rounding of Δ: the gradient is then known to some 1e-7 of the forces.
QUOTED = 1e-6

# A first attempt of Newton's method on a sparse system goes on while each step lowers the relative gradient to this
# share. Where it falls more slowly, contacts rearrange, and descent is faster (docs/decisions/033, 034).
NEWTON_FALL = 0.1

# A minimum whose U is below this share of that of the last one, for a few data less, belongs to another branch: on
# one branch U changes in proportion to the data removed, a per cent or less.
BRANCH_FALL = 0.5
