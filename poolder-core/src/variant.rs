//! An enum as several kinds: the kind names the variant, the payload is only its content.
