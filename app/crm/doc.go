// Package crm knows the people and companies we talk to.
//
// A [Customer] has a name, and numbers under which we know them. Within a tenant a number belongs to one customer, so a call finds
// its customer by the number alone: [Service.Identify] finds them or makes a new one, in the transaction of whoever asks.
package crm
