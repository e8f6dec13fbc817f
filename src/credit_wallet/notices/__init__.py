"""What is said to people, to whom and when: texts in English and Japanese, targets, quiet hours. Pure.

Sending lives in ``delivery``, and rows live in ``stores``.
"""
