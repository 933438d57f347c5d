# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every limit of the providers room, named once."""

#: Longest external id kept as it is, in characters; a longer one is kept as a digest.
EXTERNAL_ID_MAX_LENGTH = 256
