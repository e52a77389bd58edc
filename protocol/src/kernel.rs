//! Inner loops, compiled once for each level of vector instructions and chosen when the program runs.
//!
//! `kernel!` declares a function whose body is plain Rust; everything that it calls must be
//! `#[inline(always)]`, or it stays at the level that the program was built for.
//!
//! Invariants: a kernel is integer arithmetic, or float operations that IEEE 754 defines exactly: the
//! level changes the speed and nothing else. What it is not: intrinsics.

macro_rules! kernel {
    (
        $(#[$doc:meta])*
        $vis:vis fn $name:ident<$life:lifetime>($($arg:ident: $kind:ty),* $(,)?) -> $out:ty $body:block
    ) => {
        $(#[$doc])*
        $vis fn $name<$life>($($arg: $kind),*) -> $out {
            struct Kernel<$life> {
                $($arg: $kind),*
            }
            impl<$life> pulp::WithSimd for Kernel<$life> {
                type Output = $out;

                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) -> $out {
                    let Self { $($arg),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Kernel { $($arg),* })
        }
    };
}
pub(crate) use kernel;
