//! What the command line says about the files: the same flags on every command that reads them.

use std::collections::BTreeMap;

use clap::Args;

/// What the files do not tell themselves.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What the files do not tell")]
pub struct Given {
    /// A parameter of the template, or a pseudo parameter such as AWS::Region (may be given again). Of a parameter of
    /// type AWS::SSM::Parameter::Value, and of {{resolve:ssm:NAME}}, the value that is stored there
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = name_and_value)]
    parameters: Vec<(String, String)>,
    /// The function to read, of a template with several: its logical ID or its FunctionName [default: the first with a
    /// queue]
    #[arg(long, value_name = "NAME")]
    pub template_function: Option<String>,
    /// The container to read, of a pod with several [default: the one with QUEUE_URL or CONCURRENCY, or else the first]
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
}

impl Given {
    /// The parameters; of one that was given again, the last value.
    pub(super) fn parameters(&self) -> BTreeMap<&str, &str> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// These parameters.
    pub fn of_parameters<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { parameters, ..Self::default() }
    }

    /// The first flag that is about a template alone, if one was given.
    pub(crate) fn of_template(&self) -> Option<&'static str> {
        let of_function = self.template_function.is_some().then_some("--template-function");
        (!self.parameters.is_empty()).then_some("--parameter").or(of_function)
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
