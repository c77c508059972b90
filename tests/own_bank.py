"""A bank of one question, as an instructor writes one."""

OWN_BANK = """\
---
topic: pruning
---

## What does magnitude pruning remove?

```yaml
id: own-pruning
level: junior
kind: concept
```

### Answer

It removes the weights that are smallest in magnitude.

### Key points

- [3] Magnitude pruning removes the smallest weights.
"""
