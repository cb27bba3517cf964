using NanoVms.Network;

namespace NanoVms.Tests.Network;

public sealed class AddressPoolTests
{
    [Fact]
    public void Take_UntilEmpty_GivesEachGuestPlaceOnce()
    {
        var pool = new AddressPool(8);
        Assert.Equal([2, 3, 4, 5, 6], Enumerable.Range(0, 5).Select(_ => pool.Take()!.Value));
        Assert.Null(pool.Take());
        pool.Release(4);
        Assert.Equal(4, pool.Take());
    }

    [Fact]
    public void Take_AfterRelease_TakesTheOthersFirst()
    {
        var pool = new AddressPool(8);
        pool.Release(pool.Take()!.Value);
        Assert.Equal([3, 4, 5, 6, 2], Enumerable.Range(0, 5).Select(_ => pool.Take()!.Value));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(-3)]
    [InlineData(100)]
    public void TryTake_NoGuestsPlace_IsFalse(int place) => Assert.False(new AddressPool(8).TryTake(place));

    [Fact]
    public void Lease_OfAPlace_FollowsFromIt()
    {
        var lease = GuestLease.Create("bp123456-", Ipv4Prefix.Parse("10.77.0.0/16"), 258);
        Assert.Equal(("10.77.1.2", "02:42:0a:4d:01:02", "bp123456-0102", 1_905_046_530u), (lease.Address.ToString(), lease.Mac, lease.Tap, lease.UserId));
        Assert.True(GuestLease.TapName("bp123456-", ushort.MaxValue).Length < 16);
    }
}
