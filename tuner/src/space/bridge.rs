//! From the space that a solution declares to one that can be searched.

use super::{Domain, Parameter, Scale, Space, SpaceError};
use ansatz_core::candidate::{Dimension, Space as Declared};

impl Space {
    /// The space of a solution's declaration.
    pub fn from_solution(declared: &Declared) -> Result<Self, SpaceError> {
        let parameters = declared.iter().map(|(name, dimension)| {
            let on = |log: bool| if log { Scale::Log } else { Scale::Linear };
            let (domain, default) = match dimension {
                Dimension::Float { low, high, log, default } => {
                    let domain = Domain::Float { low: *low, high: *high, scale: on(*log), step: None };
                    (domain, (*default).into())
                }
                Dimension::Int { low, high, log, default } => {
                    (Domain::Int { low: *low, high: *high, scale: on(*log), step: 1 }, (*default).into())
                }
                Dimension::Categorical { values, default } => {
                    (Domain::Categorical { values: values.clone() }, default.clone())
                }
            };
            Parameter {
                name: name.clone(),
                domain,
                default: Some(default),
                when: Vec::new(),
                description: None,
            }
        });
        Self::new(parameters.collect(), Vec::new())
    }
}
