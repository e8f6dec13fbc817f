"""What is said, to whom and when: texts in English and Japanese, targets, quiet hours.

All of it is pure: delivering lives in ``delivery``, rows live in ``stores``.
"""
