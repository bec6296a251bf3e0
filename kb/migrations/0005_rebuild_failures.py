from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('kb', '0004_held_indexes'),
    ]

    operations = [
        migrations.AddField(
            model_name='indexversion',
            name='failures',
            field=models.PositiveSmallIntegerField(default=0, verbose_name='失败次数'),
        ),
        migrations.AddField(
            model_name='indexversion',
            name='failed_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='最近失败'),
        ),
    ]
