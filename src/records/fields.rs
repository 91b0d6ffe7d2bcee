/// What of a person can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Id,
    Score,
    Box,
    /// The map of the body surface.
    Iuv,
    /// The map once more, under the names of the DensePose challenges.
    UvData,
    /// Which pixels of the frame the person covers.
    Segmentation,
    /// Whose each pixel of the frame is.
    Person,
}

impl Field {
    /// The name in lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Score => "score",
            Self::Box => "box",
            Self::Iuv => "iuv",
            Self::UvData => "uv-data",
            Self::Segmentation => "segmentation",
            Self::Person => "person",
        }
    }
}

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields(u8);

/// A list names a field that the format does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this format has no field `{name}`, but {known}")]
pub struct FieldsError {
    name: String,
    known: String,
}

impl Fields {
    pub fn of(fields: &[Field]) -> Self {
        Self(fields.iter().fold(0, |set, &f| set | 1 << f as u8))
    }

    /// Those of a list, or all that the format knows where there is none.
    ///
    /// # Errors
    /// As [`Fields::parse`].
    pub fn chosen(list: Option<&str>, known: &[Field]) -> Result<Self, FieldsError> {
        list.map_or_else(|| Ok(Self::of(known)), |list| Self::parse(list, known))
    }

    /// Reads a list separated by commas, of fields among `known`.
    pub fn parse(list: &str, known: &[Field]) -> Result<Self, FieldsError> {
        let mut found = Vec::new();
        for name in list.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            let field = known.iter().find(|f| f.name() == name).ok_or_else(|| FieldsError {
                name: name.into(),
                known: known.iter().map(|f| f.name()).collect::<Vec<_>>().join(", "),
            })?;
            found.push(*field);
        }
        Ok(Self::of(&found))
    }

    pub fn has(self, field: Field) -> bool {
        self.0 & (1 << field as u8) != 0
    }

    pub fn without(self, field: Field) -> Self {
        Self(self.0 & !(1 << field as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        let known = [Field::Id, Field::Box, Field::Iuv];
        let fields = Fields::parse(" box, iuv,", &known).unwrap();
        assert_eq!(fields, Fields::of(&[Field::Box, Field::Iuv]));
        assert!(fields.has(Field::Iuv) && !fields.has(Field::Id));
        assert_eq!(fields.without(Field::Iuv), Fields::of(&[Field::Box]));
        assert_eq!(Fields::parse("", &known), Ok(Fields::default()));
        let error = Fields::parse("score", &known).unwrap_err().to_string();
        assert_eq!(error, "this format has no field `score`, but id, box, iuv");
    }
}
