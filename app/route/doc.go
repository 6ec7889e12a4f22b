// Package route knows the lines of the platform and where a dialled number goes.
//
// A [Trunk] leads to a carrier, a [Phone] to a desk or a browser, and a [Number] is one that the world can dial: it
// belongs to a unit and leads to a flow, by trunk, opening hours and caller. [Service.Inbound] answers where an arriving
// call goes, [Service.Outbound] on which trunk a call leaves, in which digits, and as whom. Both are answered from tables in
// memory ([Tables], pure), so that a call never waits for the database, and both say why.
//
// Numbers are kept in E.164 (see [Normalise]); short codes, service codes and phone names stay as they are.
//
// [Service.Run] keeps the switch provisioned: it holds exactly the enabled trunks and the phones that stand here.
// Channel limits count calls in both directions ([Service.Seize]). A limit counts the calls of this process.
package route
