"""`make bench`: both sides of every comparison in one run; the ratios count, the seconds are this machine's."""

from . import nuts

nuts.main()
