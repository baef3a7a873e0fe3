//! The ports of a function or of the command line, put together from adapters.

use super::Ports;

/// A double of the tests: every port itself, but for the registry, which may be another one's.
#[cfg(feature = "testing")]
pub trait Double: Sync {
    type Registry;
    fn registry(&self) -> &Self::Registry;
}

/// Writes the struct, and what follows from its fields, from one list.
macro_rules! adapters {
    ($($port:ident: $Adapter:ident, $with:ident;)*) => {
        /// One adapter for each port that is there, and `()` for each that is not: a use case that reaches for
        /// it does not compile, and nothing of it is linked.
        #[derive(Clone, Debug)]
        pub struct Adapters<$($Adapter = ()),*> {
            $(pub $port: $Adapter,)*
        }

        impl Adapters {
            /// No port at all.
            pub const fn none() -> Self {
                Self { $($port: (),)* }
            }
        }

        impl<$($Adapter: Sync),*> Ports for Adapters<$($Adapter),*> {
            $(
                type $Adapter = $Adapter;
                fn $port(&self) -> &$Adapter {
                    &self.$port
                }
            )*
        }

        adapters! { @with () $($port: $Adapter, $with;)* }

        #[cfg(feature = "testing")]
        adapters! { @double $($port: $Adapter;)* }
    };

    // For each port a method that puts its adapter in; those before it and those after it stay.
    (@with ($($before:ident: $Before:ident,)*)) => {};
    (@with ($($before:ident: $Before:ident,)*)
        $port:ident: $Adapter:ident, $with:ident; $($after:ident: $After:ident, $rest:ident;)*
    ) => {
        impl<$($Before,)* $($After),*> Adapters<$($Before,)* (), $($After),*> {
            pub fn $with<$Adapter>(
                self,
                $port: $Adapter,
            ) -> Adapters<$($Before,)* $Adapter, $($After),*> {
                Adapters { $($before: self.$before,)* $port, $($after: self.$after,)* }
            }
        }
        adapters! { @with ($($before: $Before,)* $port: $Adapter,) $($after: $After, $rest;)* }
    };

    (@double registry: Registry; $($port:ident: $Adapter:ident;)*) => {
        impl<Itself: Double> Ports for Itself {
            type Registry = Itself::Registry;
            fn registry(&self) -> &Itself::Registry {
                Double::registry(self)
            }
            $(
                type $Adapter = Self;
                fn $port(&self) -> &Self {
                    self
                }
            )*
        }
    };
}

adapters! {
    registry: Registry, with_registry;
    load_balancer: LoadBalancer, with_load_balancer;
    containers: Containers, with_containers;
    monitoring: Monitoring, with_monitoring;
    hooks: Hooks, with_hooks;
    probing: Probing, with_probing;
    orchestration: Orchestration, with_orchestration;
    functions: Functions, with_functions;
    channels: Channels, with_channels;
    ambient: Ambient, with_ambient;
    scaling: Scaling, with_scaling;
    repositories: Repositories, with_repositories;
    links: Links, with_links;
    telemetry: Telemetry, with_telemetry;
    archive: Archive, with_archive;
}
